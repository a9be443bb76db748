"""The model of host configs: as strict as the CRD, and what it dumps can be applied."""

from __future__ import annotations

import pytest

from wasmcloud_operator_types import (
    Application,
    ApplicationSpec,
    InvalidObjectError,
    ObjectMeta,
    WasmCloudHostConfig,
    WasmCloudHostConfigSpec,
    dump,
    parse,
)

SPEC = {"lattice": "default", "version": "1.6.0"}


def parsed(spec: dict[str, object]) -> WasmCloudHostConfig:
    return parse(WasmCloudHostConfig, {"metadata": {"name": "pool", "namespace": "team"}, "spec": spec})


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"hostReplicas": True}, "spec.hostReplicas"),
        ({"hostReplicas": "2"}, "spec.hostReplicas"),
        ({"host_replicas": 2}, "spec.host_replicas"),
        ({"daemonset": "yes"}, "spec.daemonset"),
        ({"daemonset": 1}, "spec.daemonset"),
        ({"natsClientPort": "4222"}, "spec.natsClientPort"),
        ({"observability": {"enable": "true"}}, "spec.observability.enable"),
        ({"schedulingOptions": {"resources": {"wasmcloud": {"limits": {"cpu": True}}}}}, "spec.schedulingOptions"),
    ],
)
def test_specs_that_the_api_server_would_refuse_are_refused(fields: dict[str, object], path: str) -> None:
    with pytest.raises(InvalidObjectError) as refused:
        parsed({**SPEC, **fields})
    assert all(fault.path.startswith(path) for fault in refused.value.errors)


def test_an_object_made_in_python_can_be_applied() -> None:
    meta = ObjectMeta(name="pool", namespace="team")
    hosts = WasmCloudHostConfig(metadata=meta, spec=WasmCloudHostConfigSpec(lattice="default", version="1.6.0"))
    written = {"metadata": {"name": "pool", "namespace": "team"}, "spec": SPEC}
    assert dump(hosts) == {"apiVersion": "k8s.wasmcloud.dev/v1alpha1", "kind": "WasmCloudHostConfig", **written}
    assert parse(WasmCloudHostConfig, dump(hosts)) == hosts

    component = {"name": "web", "type": "component", "properties": {"image": "x/web:1"}}
    spec = parse(ApplicationSpec, {"components": [component]})
    application = dump(Application(metadata=meta, spec=spec))
    assert (application["apiVersion"], application["kind"]) == ("core.oam.dev/v1beta1", "Application")


def faults(**fields: object) -> dict[str, str]:
    with pytest.raises(InvalidObjectError) as raised:
        parsed({**SPEC, **fields})
    return {fault.path: fault.message for fault in raised.value.errors}


@pytest.mark.parametrize(("written", "read"), [(2.0, 2), (1e1, 10), (-0.0, 0)])
def test_a_whole_number_with_a_point_is_one_as_to_the_api_server(written: float, read: int) -> None:
    assert dump(parsed({**SPEC, "hostReplicas": written}))["spec"]["hostReplicas"] == read


@pytest.mark.parametrize("written", [2.5, float("inf"), float("nan"), 1e300, "2", True])
def test_no_other_number_is_taken_for_a_whole_one(written: object) -> None:
    assert faults(hostReplicas=written) == {"spec.hostReplicas": "must be a valid integer"}


def test_additions_are_checked_field_by_field_as_the_api_server_does() -> None:
    pod = {
        "tolerations": [None, 5],
        "tolleration": [],
        "nodeSelector": {"a": 1, "b": None},
        "containers": [{"name": "s", "resources": {"limits": {"memory": "1GB", "cpu": 2**63}}}],
        "securityContext": None,
        "terminationGracePeriodSeconds": 30.0,
    }
    nats = {"env": [{"name": "A", "value": True}], "args": "x"}
    base = "spec.schedulingOptions"
    found = faults(schedulingOptions={"podTemplateAdditions": pod, "containerTemplateAdditions": {"nats": nats}})
    assert list(found) == [
        f"{base}.podTemplateAdditions.tolleration",
        f"{base}.podTemplateAdditions.tolerations[1]",
        f"{base}.podTemplateAdditions.nodeSelector.a",
        f"{base}.podTemplateAdditions.tolerations[0]",
        f"{base}.podTemplateAdditions.containers[0].resources.limits.memory",
        f"{base}.podTemplateAdditions.containers[0].resources.limits.cpu",
        f"{base}.containerTemplateAdditions.nats.env[0].value",
        f"{base}.containerTemplateAdditions.nats.args",
    ]


@pytest.mark.parametrize("nested", [list, dict])
def test_additions_without_an_end_are_refused(nested: type) -> None:
    deep = nested()
    for _ in range(2000):
        deep = [deep] if nested is list else {"a": deep}
    assert faults(schedulingOptions={"podTemplateAdditions": {"nodeSelector": deep, "tolerations": deep}})


def test_two_authorities_of_one_name_are_refused() -> None:
    authority = {"name": "ca", "secret": {"secretName": "ca"}}
    assert list(faults(certificates={"authorities": [authority, authority]})) == ["spec.certificates.authorities"]


def test_blanks_beyond_ascii_are_to_both_what_they_are_to_the_api_server() -> None:
    assert parsed({**SPEC, "lattice": "a\u00a0b\u3000"}).spec.lattice == "a\u00a0b\u3000"
    assert "spec.lattice" in faults(lattice="a\u00a0 b")
