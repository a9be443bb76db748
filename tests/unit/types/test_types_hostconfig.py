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
