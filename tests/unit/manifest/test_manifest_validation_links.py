"""Links, configurations, secrets and policies of a manifest, by wadm's rules."""

from __future__ import annotations

import pytest

from support.objects.good_manifest import (
    C0,
    C1,
    DELETE,
    LINK,
    POLICY,
    changed,
    good,
    link,
    secret,
    warnings,
    where_said,
)
from wasmcloud_operator.manifest.validation import errors, validate


@pytest.mark.parametrize(
    ("path", "value", "where", "message"),
    [
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
def test_a_fault_of_a_link_or_secret_is_an_error_with_its_path(path, value, where, message):
    assert where_said(errors(validate(changed(path, value))), message) == [where]


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
        (
            ("spec", "policies", 1),
            {"name": "vault", "type": "x", "properties": {}},
            "spec.policies[0].name",
            "defined again",
        ),
    ],
)
def test_a_link_that_is_likely_wrong_is_a_warning(path, value, where, message):
    assert where_said(warnings(validate(changed(path, value))), message) == [where]


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
