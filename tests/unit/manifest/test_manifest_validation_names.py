"""Names, versions, keys and ids in a manifest: those that wadm takes, and those that clash."""

from __future__ import annotations

import pytest

from support.objects.good_manifest import C1, DELETE, changed, warnings, where_said
from wasmcloud_operator.manifest.validation import errors, is_oam_key, validate
from wasmcloud_operator.manifest.walking import component_id


@pytest.mark.parametrize(
    ("path", "value", "where", "message"),
    [
        (("metadata", "name"), "my.app", "metadata.name", "no dots"),
        (("metadata", "name"), "my app", "metadata.name", "no dots or spaces"),
        (("metadata", "name"), "app\n", "metadata.name", "letters, digits"),
        (("metadata", "annotations"), DELETE, "metadata.annotations", "required by wadm"),
        (("metadata", "annotations", "version"), "latest", "metadata.annotations.version", "choose another name"),
        (("metadata", "annotations", "version"), 1.0, "metadata.annotations.version", "put it in quotes"),
        (("metadata", "annotations", "3scale.net/x"), "y", 'metadata.annotations["3scale.net/x"]', "not a key"),
        (("metadata", "labels"), {"-x": "y"}, "metadata.labels.-x", "not a key"),
        ((*C1, "name"), "web", "spec.components[1].name", "also the name of spec.components[0]"),
    ],
)
def test_a_fault_in_a_name_is_an_error_with_its_path(path, value, where, message):
    assert where_said(errors(validate(changed(path, value))), message) == [where]


@pytest.mark.parametrize(
    ("path", "value", "where", "message"),
    [
        ((*C1, "name"), "WEB", "spec.components[1].name", "change the id"),
        ((*C1, "properties", "id"), "hello_world-web", "spec.components[0].name", "change the id"),
    ],
)
def test_names_that_give_one_id_are_a_warning(path, value, where, message):
    assert where_said(warnings(validate(changed(path, value))), message) == [where]


@pytest.mark.parametrize(
    ("key", "valid"),
    [
        ("version", True),
        ("a.b/c_d.e", True),
        ("", False),
        ("/x", False),
        ("a/", False),
        ("a/b/c", False),
        ("1a/b", False),
        ("a..b/c", False),
        ("-a", False),
        ("a" * 63, True),
        ("a" * 64, False),
        ("é", False),
        (f"{'a.' * 126}a/x", True),
        (f"{'a.' * 127}a/x", False),
    ],
)
def test_keys_of_annotations_are_wadms(key, valid):
    assert is_oam_key(key) is valid


def test_generated_ids_are_those_of_wadm():
    assert component_id("My ThInG", "thing.wasm") == "my_thing-thing_wasm"
