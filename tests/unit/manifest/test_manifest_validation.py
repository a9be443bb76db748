"""The form of a manifest: what is said of each fault, where, and that everything is said at once."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.objects.good_manifest import (
    C0,
    C1,
    DELETE,
    LINK,
    POLICY,
    SCALER,
    changed,
    good,
    secret,
    warnings,
    where_said,
)
from wasmcloud_operator.manifest.validation import errors, validate


def test_a_good_manifest_has_no_problems():
    assert validate(good()) == []


@pytest.mark.parametrize(
    ("path", "value", "where", "message"),
    [
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
        ((*C0, "properties", "image"), DELETE, "spec.components[0].properties", "needs image"),
        (
            (*C0, "properties", "application"),
            {"name": "a", "component": "c"},
            "spec.components[0].properties",
            "both image and application",
        ),
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
    ],
)
def test_a_fault_of_form_is_an_error_with_its_path(path, value, where, message):
    assert where_said(errors(validate(changed(path, value))), message) == [where]


@pytest.mark.parametrize(
    ("path", "value", "where", "message"),
    [
        ((*C0, "trait"), [], "spec.components[0].trait", "ignored by wadm"),
        (("spec", "extra"), 1, "spec.extra", "ignored by wadm"),
        (
            (*C0, "traits", 1),
            {"type": "custom", "properties": {"any": [1]}},
            "spec.components[0].traits[1].type",
            "passed on",
        ),
        ((*C0, "traits", 1), {"type": "custom", "properties": None}, "spec.components[0].traits[1].type", "passed on"),
    ],
)
def test_a_likely_mistake_is_a_warning(path, value, where, message):
    assert where_said(warnings(validate(changed(path, value))), message) == [where]


@pytest.mark.parametrize("manifest", [None, [], "x", 5])
def test_anything_but_an_object_is_no_manifest(manifest):
    assert [(problem.severity, problem.path) for problem in validate(manifest)] == [("error", "")]


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


def test_five_hundred_components_are_checked_and_a_large_manifest_is_warned_about():
    manifest = good()
    manifest["spec"]["components"] += [
        {"name": f"c{n}", "type": "capability", "properties": {"image": "x" * 3000}} for n in range(500)
    ]
    found = validate(manifest)
    assert errors(found) == []
    assert [problem.path for problem in found] == [""]
    assert "NATS takes" in found[0].message


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
