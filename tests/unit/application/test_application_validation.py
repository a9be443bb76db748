"""Each of wadm's rules: the fault, where it is said to be, and that everything is said at once."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmcloud_operator.application.validation import errors, generated_id, is_oam_key, validate, warnings

DELETE = object()


def link(target="web", **more):
    return {
        "type": "link",
        "properties": {
            "namespace": "wasi",
            "package": "http",
            "interfaces": ["incoming-handler"],
            "target": {"name": target},
            **more,
        },
    }


def secret(policy="vault", name="token"):
    return {"name": name, "properties": {"policy": policy, "key": "k"}}


def good():
    return {
        "apiVersion": "core.oam.dev/v1beta1",
        "kind": "Application",
        "metadata": {"name": "hello-world", "annotations": {"version": "v1", "description": "ünïcode"}},
        "spec": {
            "components": [
                {
                    "name": "web",
                    "type": "component",
                    "properties": {"image": "ghcr.io/x/web:1", "config": [{"name": "c", "properties": {"a": "1"}}]},
                    "traits": [{"type": "spreadscaler", "properties": {"instances": 1}}],
                },
                {
                    "name": "server",
                    "type": "capability",
                    "properties": {"image": "ghcr.io/x/http-server:1", "secrets": [secret()]},
                    "traits": [
                        {
                            "type": "daemonscaler",
                            "properties": {
                                "replicas": 1,
                                "spread": [{"name": "s", "requirements": {"zone": "a"}, "weight": 80}],
                            },
                        },
                        link(source={"config": [{"name": "addr", "properties": {"address": "0.0.0.0:80"}}]}),
                    ],
                },
            ],
            "policies": [
                {"name": "vault", "type": "policy.secret.wasmcloud.dev/v1alpha1", "properties": {"backend": "nats-kv"}}
            ],
        },
    }


def changed(path, value):
    """The good manifest with one place replaced, added or deleted."""
    manifest = copy.deepcopy(good())
    *parents, last = path
    place = manifest
    for step in parents:
        place = place[step]
    if value is DELETE:
        del place[last]
    elif isinstance(last, int) and last == len(place):
        place.append(value)
    else:
        place[last] = value
    return manifest


C0 = ("spec", "components", 0)
C1 = ("spec", "components", 1)
SCALER = (*C0, "traits", 0, "properties")
LINK = (*C1, "traits", 1, "properties")
POLICY = ("spec", "policies", 0)


def test_a_good_manifest_has_no_problems():
    assert validate(good()) == []


@pytest.mark.parametrize(
    ("path", "value", "where", "message"),
    [
        # form
        (("status",), {}, "status", "not a field"),
        (("apiVersion",), "core.oam.dev/v1", "apiVersion", "must be core.oam.dev/v1beta1"),
        (("kind",), DELETE, "kind", "is required"),
        (("metadata",), DELETE, "metadata", "is required"),
        (("spec",), [], "spec", "must be an object"),
        (("spec",), DELETE, "spec", "is required"),
        (("spec", "components"), DELETE, "spec.components", "is required"),
        (("spec", "components"), {}, "spec.components", "must be a list"),
        (("spec", "components"), None, "spec.components", "must be a list"),
        (("spec", "policies"), None, "spec.policies", "must be a list"),
        (C0, "x", "spec.components[0]", "must be an object"),
        ((*C0, "name"), DELETE, "spec.components[0].name", "is required"),
        ((*C0, "type"), "provider", "spec.components[0].type", "component or capability"),
        ((*C0, "properties"), DELETE, "spec.components[0].properties", "is required"),
        ((*C0, "properties", "imgae"), "x", "spec.components[0].properties.imgae", "not a field"),
        ((*C0, "properties", "image"), 5, "spec.components[0].properties.image", "put it in quotes"),
        ((*C0, "properties", "config"), None, "spec.components[0].properties.config", "must be a list"),
        (
            (*C0, "properties", "config", 0, "properties", "a"),
            8080,
            "spec.components[0].properties.config[0].properties.a",
            "must be a string, not a number: put it in quotes",
        ),
        (
            (*C0, "properties", "config", 0, "properties", "b.c"),
            True,
            'spec.components[0].properties.config[0].properties["b.c"]',
            "put it in quotes",
        ),
        (
            (*C0, "properties", "config", 0, "values"),
            {},
            "spec.components[0].properties.config[0].values",
            "not a field",
        ),
        ((*C0, "traits"), {}, "spec.components[0].traits", "must be a list"),
        ((*C0, "traits", 0, "name"), "x", "spec.components[0].traits[0].name", "not a field"),
        ((*C0, "traits", 0, "properties"), DELETE, "spec.components[0].traits[0].properties", "is required"),
        # names and versions
        (("metadata", "name"), "my.app", "metadata.name", "no dots"),
        (("metadata", "name"), "my app", "metadata.name", "no dots or spaces"),
        (("metadata", "name"), "app\n", "metadata.name", "letters, digits"),
        (("metadata", "annotations"), DELETE, "metadata.annotations", "required by wadm"),
        (("metadata", "annotations", "version"), "latest", "metadata.annotations.version", "choose another name"),
        (("metadata", "annotations", "version"), 1.0, "metadata.annotations.version", "put it in quotes"),
        (("metadata", "annotations", "3scale.net/x"), "y", 'metadata.annotations["3scale.net/x"]', "not a key"),
        (("metadata", "labels"), {"-x": "y"}, "metadata.labels.-x", "not a key"),
        ((*C1, "name"), "web", "spec.components[1].name", "also the name of spec.components[0]"),
        # what to run
        ((*C0, "properties", "image"), DELETE, "spec.components[0].properties", "needs image"),
        (
            (*C0, "properties", "application"),
            {"name": "a", "component": "c"},
            "spec.components[0].properties",
            "both image and application",
        ),
        # scalers
        ((*SCALER, "instances"), -1, "spec.components[0].traits[0].properties.instances", "0 or more"),
        ((*SCALER, "instances"), "1", "spec.components[0].traits[0].properties.instances", "whole number"),
        ((*SCALER, "instances"), True, "spec.components[0].traits[0].properties.instances", "whole number"),
        ((*SCALER, "instances"), 1.5, "spec.components[0].traits[0].properties.instances", "whole number"),
        ((*SCALER, "instances"), DELETE, "spec.components[0].traits[0].properties.instances", "is required"),
        ((*SCALER, "replicas"), 1, "spec.components[0].traits[0].properties.replicas", "remove it"),
        ((*SCALER, "spreed"), [], "spec.components[0].traits[0].properties.spreed", "not a field"),
        (
            (*C1, "traits", 0, "properties", "spread", 0, "requirements"),
            DELETE,
            "spec.components[1].traits[0].properties.spread[0].requirements",
            "is required",
        ),
        (
            (*C1, "traits", 0, "properties", "spread", 0, "requirements", "zone"),
            3,
            "spec.components[1].traits[0].properties.spread[0].requirements.zone",
            "put it in quotes",
        ),
        (
            (*C1, "traits", 0, "properties", "spread", 0, "weight"),
            -2,
            "spec.components[1].traits[0].properties.spread[0].weight",
            "0 or more",
        ),
        # links
        ((*LINK, "package"), DELETE, "spec.components[1].traits[1].properties.package", "is required"),
        ((*LINK, "package"), 5, "spec.components[1].traits[1].properties.package", "must be a string"),
        ((*LINK, "interfaces"), DELETE, "spec.components[1].traits[1].properties.interfaces", "is required"),
        ((*LINK, "interfaces"), "x", "spec.components[1].traits[1].properties.interfaces", "must be a list"),
        ((*LINK, "interfaces", 0), 1, "spec.components[1].traits[1].properties.interfaces[0]", "must be a string"),
        ((*LINK, "name"), None, "spec.components[1].traits[1].properties.name", "must be a string, not null"),
        ((*LINK, "target"), DELETE, "spec.components[1].traits[1].properties.target", "is required"),
        (
            (*LINK, "target"),
            {"name": "gone"},
            "spec.components[1].traits[1].properties.target",
            "'gone' is not the name",
        ),
        ((*LINK, "target"), {"nam": "web"}, "spec.components[1].traits[1].properties.target.name", "is required"),
        ((*LINK, "source"), None, "spec.components[1].traits[1].properties.source", "must be an object"),
        ((*C1, "traits", 2), link(), "spec.components[1].traits[2].properties", "name one apart"),
        (
            (*LINK, "interfaces"),
            ["incoming-handler", "incoming-handler"],
            "spec.components[1].traits[1].properties.interfaces",
            "more than once",
        ),
        (
            (*LINK, "target", "config"),
            [{"name": "addr", "properties": {}}],
            "spec.components[1].traits[1].properties.source.config[0].name",
            "already defined by",
        ),
        # secrets and policies
        (
            (*C1, "properties", "secrets", 0),
            secret("nope"),
            "spec.components[1].properties.secrets[0].properties.policy",
            "add it there",
        ),
        (
            (*LINK, "source"),
            {"secrets": [secret("nope")]},
            "spec.components[1].traits[1].properties.source.secrets[0].properties.policy",
            "add it there",
        ),
        (
            (*POLICY, "type"),
            "other",
            "spec.components[1].properties.secrets[0].properties.policy",
            "no policy for secrets",
        ),
        ((*POLICY, "properties"), {}, "spec.components[1].properties.secrets[0].properties.policy", "add backend"),
        ((*POLICY, "properties"), DELETE, "spec.policies[0].properties", "is required"),
        ((*POLICY, "properties", "ttl"), 5, "spec.policies[0].properties.ttl", "put it in quotes"),
    ],
)
def test_a_fault_is_an_error_with_its_path(path, value, where, message):
    found = errors(validate(changed(path, value)))
    assert [problem.path for problem in found if message in problem.message] == [where], found


@pytest.mark.parametrize("manifest", [None, [], "x", 5])
def test_what_is_no_object_is_no_manifest(manifest):
    assert [(problem.severity, problem.path) for problem in validate(manifest)] == [("error", "")]


@pytest.mark.parametrize(
    ("path", "value", "where", "message"),
    [
        (
            (*LINK, "interfaces"),
            ["incomming-handler"],
            "spec.components[1].traits[1].properties.interfaces",
            "check the spelling",
        ),
        (
            (*LINK, "package"),
            "htttp",
            "spec.components[1].traits[1].properties.interfaces",
            "wasi:htttp/incoming-handler",
        ),
        ((*LINK, "target"), "web", "spec.components[1].traits[1].properties.target", "deprecated"),
        (
            (*LINK, "source_config"),
            [{"name": "x"}],
            "spec.components[1].traits[1].properties.source_config",
            "ignored beside",
        ),
        (
            (*LINK, "target_config"),
            [{"name": "x"}],
            "spec.components[1].traits[1].properties.target_config",
            "ignored beside",
        ),
        ((*LINK, "sauce"), {}, "spec.components[1].traits[1].properties.sauce", "ignored by wadm"),
        ((*C0, "trait"), [], "spec.components[0].trait", "ignored by wadm"),
        (("spec", "extra"), 1, "spec.extra", "ignored by wadm"),
        (
            (*C0, "traits", 1),
            {"type": "custom", "properties": {"any": [1]}},
            "spec.components[0].traits[1].type",
            "passed on",
        ),
        ((*C0, "traits", 1), {"type": "custom", "properties": None}, "spec.components[0].traits[1].type", "passed on"),
        ((*C1, "name"), "WEB", "spec.components[1].name", "another id"),
        ((*C1, "properties", "id"), "hello_world-web", "spec.components[0].name", "another id"),
        (
            ("spec", "policies", 1),
            {"name": "vault", "type": "x", "properties": {}},
            "spec.policies[0].name",
            "defined again",
        ),
    ],
)
def test_what_works_but_is_likely_wrong_is_a_warning(path, value, where, message):
    found = warnings(validate(changed(path, value)))
    assert [problem.path for problem in found if message in problem.message] == [where], found


def test_deprecated_forms_are_read_as_wadm_reads_them():
    old = link()
    old["properties"] |= {
        "target": "web",
        "target_config": [{"name": "addr", "properties": {}}],
        "source_config": [{"name": "addr", "properties": {}}],
    }
    manifest = changed((*C1, "traits", 1), old)
    found = validate(manifest)
    assert [problem.path for problem in errors(found)] == [
        "spec.components[1].traits[1].properties.source_config[0].name"
    ]
    assert sum("deprecated" in problem.message for problem in warnings(found)) == 3


def test_a_shared_component_brings_no_config_secrets_or_scaler():
    manifest = changed(
        C0,
        {
            "name": "web",
            "type": "actor",
            "properties": {
                "application": {"name": "a", "component": "c"},
                "config": [{"name": "x"}],
                "secrets": [secret()],
            },
            "traits": [{"type": "spreadscaler", "properties": {"instances": 1}}],
        },
    )
    assert [problem.path for problem in errors(validate(manifest))] == [
        "spec.components[0].properties.config",
        "spec.components[0].properties.secrets",
        "spec.components[0].traits[0]",
    ]


def test_all_errors_are_said_at_once():
    manifest = changed((*C0, "name"), 5)
    manifest["metadata"]["name"] = "a.b"
    manifest["spec"]["components"][1]["traits"][1]["properties"]["target"]["name"] = "gone"
    manifest["spec"]["components"][0]["properties"].pop("image")
    del manifest["spec"]["policies"]
    assert len(errors(validate(manifest))) == 5


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        ({}, []),
        ({"target": {"name": "gone"}}, ["target"]),
        ({"target": DELETE}, ["target"]),
        # wadm's handler dies of these and never answers
        ({"package": 5}, ["package"]),
        ({"interfaces": [1]}, ["interfaces[0]"]),
        # wadm reads no link in these and leaves the trait alone
        ({"target": 5}, []),
        ({"source": {"config": 5}, "package": 5}, []),
        ({"package": DELETE}, []),
    ],
)
def test_a_custom_trait_in_the_form_of_a_link_is_judged_as_wadm_does(change, faults):
    properties = link()["properties"] | change
    trait = {"type": "mine", "properties": {key: value for key, value in properties.items() if value is not DELETE}}
    found = errors(validate(changed((*C0, "traits", 1), trait)))
    assert [problem.path for problem in found] == [f"spec.components[0].traits[1].properties.{at}" for at in faults]


def test_same_links_from_different_components_are_fine_and_so_are_different_names():
    manifest = good()
    manifest["spec"]["components"][0]["traits"].append(link("server"))
    manifest["spec"]["components"][1]["traits"].append(link(name="second"))
    assert validate(manifest) == []


def test_a_config_without_properties_may_be_used_often():
    manifest = good()
    for component in manifest["spec"]["components"]:
        component["traits"].append(link(name="x", source={"config": [{"name": "shared"}]}))
    assert validate(manifest) == []


def test_five_hundred_components_are_checked_and_a_large_manifest_is_warned_about():
    manifest = good()
    manifest["spec"]["components"] += [
        {"name": f"c{n}", "type": "component", "properties": {"image": "x" * 3000}} for n in range(500)
    ]
    found = validate(manifest)
    assert errors(found) == []
    assert [problem.path for problem in found] == [""]
    assert "NATS takes" in found[0].message


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
    assert generated_id("My ThInG", "thing.wasm") == "my_thing-thing_wasm"


def test_no_message_shows_a_value():
    manifest = changed((*C0, "properties", "config", 0, "properties", "password"), 123456)
    assert "123456" not in str(validate(manifest))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=8,
)


@given(
    value=json_values,
    place=st.sampled_from(
        [
            C0,
            (*C0, "properties"),
            (*C0, "traits"),
            SCALER,
            LINK,
            POLICY,
            ("spec",),
            ("metadata",),
            (*LINK, "target"),
            (*LINK, "source"),
        ]
    ),
)
def test_nothing_that_is_json_breaks_it(value, place):
    manifest = changed(place, value)
    found = validate(manifest)
    assert json.dumps([str(problem) for problem in found]) is not None
    assert found or not isinstance(value, int | float | str)
