"""The models of the OAM application: what goes in comes out, and every fault is named by its path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from wasmcloud_operator_types import Application, ApplicationStatus, CustomTrait, LinkTrait, ScalerTrait
from wasmcloud_operator_types.meta import Condition, ObjectMeta
from wasmcloud_operator_types.parsing import InvalidObjectError, dump, parse

names = st.text("abc-_", min_size=1, max_size=6)
free_values = st.recursive(
    st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=5),
    lambda children: st.lists(children, max_size=2) | st.dictionaries(st.text(max_size=4), children, max_size=2),
    max_leaves=4,
)
strings = st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2)


def objects(required=None, optional=None, extra=True):
    """Objects with these fields, and one that no model knows."""
    return st.fixed_dictionaries(
        required or {}, optional=(optional or {}) | ({"x-unknown": free_values} if extra else {})
    )


configs = st.lists(objects({"name": names}, {"properties": strings}), max_size=2)
secrets = st.lists(
    objects(
        {"name": names, "properties": objects({"policy": names, "key": names}, {"field": names, "version": names})}
    ),
    max_size=2,
)
side = {"config": configs, "secrets": secrets}
links = objects(
    {"namespace": names, "package": names, "interfaces": st.lists(names, max_size=2)}
    | {"target": names | objects({"name": names}, side)},
    {"source": objects(optional=side), "name": names, "source_config": configs, "target_config": configs},
)
spreads = st.lists(objects({"name": names, "requirements": strings}, {"weight": st.integers(0, 100)}), max_size=2)
scalers = objects(optional={"instances": st.integers(0, 9), "replicas": st.integers(0, 9), "spread": spreads})
traits = st.one_of(
    objects({"type": st.just("link"), "properties": links}),
    objects({"type": st.sampled_from(["spreadscaler", "daemonscaler"]), "properties": scalers}),
    objects({"type": names, "properties": free_values}),
)
components = objects(
    {
        "name": names,
        "type": st.sampled_from(["component", "actor", "capability"]),
        "properties": objects(
            optional={"image": names, "id": names, "application": objects({"name": names, "component": names})} | side
        ),
    },
    {"traits": st.lists(traits, max_size=3)},
)
policies = objects({"name": names, "type": names, "properties": strings})
applications = objects(
    {
        "apiVersion": st.just("core.oam.dev/v1beta1"),
        "kind": st.just("Application"),
        "metadata": objects({"name": names}, {"labels": strings, "annotations": strings}),
        "spec": objects({"components": st.lists(components, max_size=3)}, {"policies": st.lists(policies, max_size=2)}),
    },
    extra=False,
)


@given(value=applications)
def test_a_parsed_application_is_dumped_unchanged(value):
    assert dump(parse(Application, value)) == value


def test_traits_are_distinguished_by_type():
    spec = {
        "components": [
            {
                "name": "http",
                "type": "capability",
                "properties": {"image": "i"},
                "traits": [
                    {"type": "daemonscaler", "properties": {"replicas": 2}},
                    {
                        "type": "link",
                        "properties": {
                            "namespace": "wasi",
                            "package": "http",
                            "interfaces": ["incoming-handler"],
                            "target": "web",
                            "source_config": [{"name": "old"}],
                            "target_config": [{"name": "there"}],
                        },
                    },
                    {"type": "mine", "properties": [1]},
                ],
            }
        ]
    }
    (component,) = Application.model_validate({"metadata": {"name": "a"}, "spec": spec}).spec.components
    assert [type(trait) for trait in component.traits or ()] == [ScalerTrait, LinkTrait, CustomTrait]
    assert component.is_capability
    assert [scaler.properties.count for scaler in component.scalers] == [2]
    (link,) = component.links
    assert link.target_name == "web"
    assert [config.name for config in link.effective_source_config] == ["old"]
    assert [config.name for config in link.effective_target_config] == ["there"]


def test_the_source_object_wins_over_its_deprecated_form():
    properties = {
        "namespace": "a",
        "package": "b",
        "interfaces": [],
        "target": {"name": "t", "config": [{"name": "new"}]},
        "source": {},
        "source_config": [{"name": "old"}],
        "target_config": [{"name": "old"}],
    }
    link = LinkTrait.model_validate({"type": "link", "properties": properties}).properties
    assert link.target_name == "t"
    assert link.effective_source_config == ()
    assert [config.name for config in link.effective_target_config] == ["new"]


@pytest.mark.parametrize(
    ("component", "faults"),
    [
        ({"type": "component", "properties": {}}, {"spec.components[0].name": "is required"}),
        (
            {"name": "x", "type": "provider", "properties": {"image": 5}},
            {
                "spec.components[0].type": "must be 'component', 'actor' or 'capability'",
                "spec.components[0].properties.image": "must be a valid string",
            },
        ),
        (
            {"name": "x", "type": "component", "properties": {"config": [{"name": "c", "properties": {"a.b": 1}}]}},
            {'spec.components[0].properties.config[0].properties["a.b"]': "must be a valid string"},
        ),
        (
            {"name": "x", "type": "component", "properties": {}, "traits": [{"type": "link", "properties": {}}]},
            {
                f"spec.components[0].traits[0].properties.{field}": "is required"
                for field in ("namespace", "package", "interfaces", "target")
            },
        ),
        (
            {
                "name": "x",
                "type": "component",
                "properties": {},
                "traits": [{"type": "spreadscaler", "properties": {"instances": "1"}}, {"type": "mine"}],
            },
            {
                "spec.components[0].traits[0].properties.instances": "must be a valid integer",
                "spec.components[0].traits[1].properties": "is required",
            },
        ),
    ],
)
def test_faults_are_named_by_their_json_path(component, faults):
    with pytest.raises(InvalidObjectError) as raised:
        parse(Application, {"metadata": {"name": "a"}, "spec": {"components": [component]}})
    assert {error.path: error.message for error in raised.value.errors} == faults
    assert all(path in str(raised.value) for path in faults)


def test_an_unknown_field_at_the_root_is_refused_and_values_are_never_shown():
    with pytest.raises(InvalidObjectError) as raised:
        parse(Application, {"metadata": {"name": "a"}, "spec": {"components": "hunter2"}, "sepc": "hunter2"})
    assert {error.path for error in raised.value.errors} == {"sepc", "spec.components"}
    assert "hunter2" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("value", [None, 5, "x", []])
def test_anything_but_an_object_is_refused(value):
    with pytest.raises(InvalidObjectError, match="not a valid Application"):
        parse(Application, value)


def test_a_status_of_another_operator_still_parses():
    status = {
        "phase": "Failed",
        "observedGeneration": -1,
        "from_the_past": {"a": 1},
        "scalers": [{"kind": "k", "name": "n", "status": "s", "id": "i"}],
    }
    parsed = parse(ApplicationStatus, status)
    assert parsed.phase == "Failed"
    assert dump(parsed) == {
        "phase": "Failed",
        "observedGeneration": -1,
        "scalers": [{"kind": "k", "name": "n", "status": "s"}],
    }


def test_models_do_not_change():
    application = Application.model_validate({"metadata": {"name": "a"}, "spec": {"components": []}})
    with pytest.raises(ValidationError):
        application.spec.components = ()


def test_metadata_keeps_what_it_does_not_know():
    value = {
        "name": "a",
        "creationTimestamp": "2026-01-02T03:04:05Z",
        "managedFields": [{"manager": "kubectl"}],
        "ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u", "controller": True}],
    }
    assert dump(parse(ObjectMeta, value)) == value


CONDITION = {
    "type": "Ready",
    "status": "True",
    "lastTransitionTime": "2026-01-02T03:04:05Z",
    "reason": "Ok",
    "message": "",
}


def test_a_condition_round_trips():
    assert dump(parse(Condition, CONDITION)) == CONDITION


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("type", "not a type"),
        ("type", "x" * 317),
        ("status", "true"),
        ("reason", ""),
        ("reason", "not one word"),
        ("message", "x" * 32769),
        ("observedGeneration", -1),
        ("lastTransitionTime", "2026-01-02T03:04:05"),
    ],
)
def test_a_condition_has_the_bounds_of_metav1(field, value):
    with pytest.raises(InvalidObjectError) as raised:
        parse(Condition, CONDITION | {field: value})
    assert [error.path for error in raised.value.errors] == [field]
