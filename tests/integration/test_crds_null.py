"""Null in a custom resource means that the field is left out, to a real API server as to the types."""

from __future__ import annotations

import pytest

from support.objects.custom_resources import HELLO, HOSTS, refusal, with_spec
from wasmcloud_operator_types import (
    Application,
    InvalidObjectError,
    WasmCloudHostConfig,
    custom_resource_definitions,
    parse,
)
from wasmcloud_operator_types.embedded import embedded_schema

SCHEMAS = {
    crd["spec"]["names"]["kind"]: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    for crd in custom_resource_definitions()
}

OF_KUBERNETES = {"podTemplateAdditions", "nats", "wasmcloud"}


def optional_fields(schema, path=()):
    """Path of every optional field of ours; the path of a list's item has a 0."""
    for name, child in schema.get("properties", {}).items():
        if name not in schema.get("required", ()):
            yield (*path, name)
        if not ("containerTemplateAdditions" in path and name in OF_KUBERNETES) and name != "podTemplateAdditions":
            yield from optional_fields(child, (*path, name))
            yield from optional_fields(child.get("items", {}), (*path, name, 0))


def with_null(schema, base, path):
    """The base with null at the path; what is required on the way is there."""
    if not path:
        return None
    step, *rest = path
    if step == 0:
        return [with_null(schema["items"], base[0] if base else None, rest)]
    needed = {name: "x" for name in schema.get("required", ()) if schema["properties"][name].get("type") == "string"}
    filled = needed | (base or {})
    return filled | {step: with_null(schema["properties"][step], filled.get(step), rest)}


def all_null(schema):
    """Objects all the way down, and null for every field that is none."""
    if "items" in schema:
        return [all_null(schema["items"])] if "properties" in schema["items"] else None
    return {name: all_null(child) for name, child in schema["properties"].items()} if "properties" in schema else None


@pytest.mark.parametrize("base", [HOSTS, HELLO], ids=["host config", "application"])
async def test_a_template_may_leave_any_optional_field_null_under_server_side_apply(admin, crds, namespace, base):
    schema, model = SCHEMAS[base["kind"]], WasmCloudHostConfig if base is HOSTS else Application
    paths = list(optional_fields(schema))
    assert len(paths) > 15
    for path in paths:
        if path[-1] in ("secret", "configMap", "image") and path != ("image",):
            continue  # one of two is needed: tried below
        if path[:3] == ("certificates", "authorities", 0):
            base = with_spec(base, certificates={"authorities": [{"name": "x", path[3]: SOURCES[path[3]]}]})
        obj = base | {"spec": with_null(schema, base["spec"], path)}
        applied = await admin.apply(obj, namespace)
        parse(model, applied)


SOURCES = {"secret": {"secretName": "s"}, "configMap": {"name": "m"}}

ONE_AUTHORITY = {"certificates": {"authorities": [{"name": "x", "secret": {"secretName": "s"}, "configMap": None}]}}


@pytest.mark.parametrize(
    "changes",
    [
        ONE_AUTHORITY,
        {"daemonset": None, "schedulingOptions": {"daemonset": True}},
        {"daemonset": True, "schedulingOptions": {"daemonset": None}},
        {"daemonset": True, "schedulingOptions": None},
        {"daemonset": None, "podDisruptionBudget": {"minAvailable": None, "maxUnavailable": 1}},
        {"daemonset": True, "podDisruptionBudget": {"minAvailable": 1, "maxUnavailable": None}},
        {"daemonset": True, "podDisruptionBudget": None},
        {"issuers": None, "secretName": None},
        {
            "podMetadata": {"labels": None, "annotations": None},
            "serviceAccount": {"name": None, "annotations": {"a": "b"}},
        },
        {"leafNodeDomain": None, "jetstreamDomain": None},
        {"schedulingOptions": {"rollingUpdate": {"maxSurge": None, "maxUnavailable": None}}},
        {"probes": {"port": None}},
        {"policyService": {"topic": None, "timeoutMs": None, "changesTopic": None}},
        {"schedulingOptions": {"podTemplateAdditions": all_null(embedded_schema("PodSpec"))}},
        {"schedulingOptions": {"containerTemplateAdditions": {"nats": all_null(embedded_schema("Container"))}}},
    ],
)
async def test_a_rule_takes_null_for_left_out(admin, crds, namespace, changes):
    parse(WasmCloudHostConfig, await admin.apply(with_spec(HOSTS, **changes), namespace))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"issuers": ["C"], "secretName": None, "version": "0.82.0"}, "issuers need secretName"),
        ({"policyService": {"topic": None, "timeoutMs": 5}}, "timeoutMs and changesTopic need topic"),
        ({"certificates": {"authorities": [{"name": "x", "secret": None, "configMap": None}]}}, "name either a secret"),
        ({"daemonset": True, "podDisruptionBudget": {"minAvailable": None}}, "podDisruptionBudget of a daemonset"),
    ],
)
async def test_a_null_does_not_get_round_a_rule(admin, crds, namespace, changes, message):
    assert message in await refusal(admin, with_spec(HOSTS, **changes), namespace)
    with pytest.raises(InvalidObjectError, match=message):
        parse(WasmCloudHostConfig, with_spec(HOSTS, **changes))
