"""The platform chart: every part, each of which may be there already, and the values of the official chart."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.kube.helm import PLATFORM_CHART, Helm, HelmFailed, Values, drift
from testbed import Admin, ControlPlane
from testbed.cache import ensure
from testbed.waiting import eventually
from wasmcloud_operator_types import WasmCloudHostConfig

HOST_CONFIG = "k8s.wasmcloud.dev/v1alpha1/WasmCloudHostConfig"
ONE_SERVER: Values = {"nats": {"config": {"cluster": {"enabled": False}}}}
# As users of the official platform chart have them.
OFFICIAL: Values = {
    "nats": {
        "enabled": True,
        "fullnameOverride": "nats",
        "nameOverride": "nats",
        "config": {
            "cluster": {"enabled": True, "replicas": 3},
            "leafnodes": {"enabled": True},
            "websocket": {"enabled": True, "port": 4223},
            "jetstream": {"enabled": True, "fileStore": {"pvc": {"size": "10Gi"}}, "merge": {"domain": "default"}},
        },
    },
    "wadm": {
        "wadm": {"image": {"tag": "v0.21.0"}, "config": {"nats": {"server": "nats.default.svc.cluster.local:4222"}}}
    },
    "host": {"enabled": False},
    "hostConfig": {
        "enabled": True,
        "name": "wasmcloud-host",
        "namespace": "default",
        "lattice": "default",
        "hostReplicas": 2,
        "version": "1.2.0",
        "hostLabels": None,
        "observability": {"enable": True, "endpoint": "otel.svc", "logs": {"enable": False}},
        "resources": {"nats": {}, "wasmCloudHost": {"requests": {"cpu": "1"}}},
    },
}


@pytest.fixture
async def helm(tmp_path: Path) -> Helm:
    folder = tmp_path / "helm"
    folder.mkdir()
    return Helm(await ensure("helm"), folder)


def named(objects: list[dict[str, Any]], kind: str, name: str = "") -> dict[str, Any]:
    """The one object of a kind, and of a name where there are several."""
    (found,) = (obj for obj in objects if obj["kind"] == kind and name in ("", obj["metadata"]["name"]))
    return found


async def test_the_chart_passes_helms_own_lint(helm: Helm) -> None:
    assert "0 chart(s) failed" in await helm.run("lint", "--strict", str(PLATFORM_CHART))


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"nat": {}}, "nat"),
        ({"nats": {"config": {"jetstream": {"filestore": {}}}}}, "filestore"),
        ({"hostConfig": {"hostReplica": 2}}, "hostReplica"),
        ({"hostConfig": {"resources": {"wasmcloud": {}}}}, "wasmcloud"),
        ({"operator": {"replica": 1}}, "replica"),
        ({"host": {"enabled": True}}, "host"),
        ({"nats": {"config": {"cluster": {"replicas": 2}}}}, "majority"),
        ({"nats": {"enabled": False}}, "nats.address"),
        ({"nats": {"config": {"leafnodes": {"enabled": False}}}}, "each pod of hosts is a leaf node"),
        ({"nats": {"config": {"jetstream": {"enabled": False}}}}, "wadm keeps what it knows in JetStream"),
        ({"wadm": {"wadm": {"config": {"cleanupInterval": 1_000_000}}}}, "cleanupInterval"),
        ({"commonLabels": {"app.kubernetes.io/instance": "mine"}}, "commonLabels/app.kubernetes.io~1instance"),
        ({"nats": None}, "nats"),
        ({"nats": {"config": {"leafnodes": {"port": None}}}}, "port"),
        ({"wadm": {"wadm": {"config": None}}}, "config"),
        ({"hostConfig": {"name": None}}, "name"),
    ],
)
async def test_values_that_the_chart_cannot_serve_are_refused_by_name(helm: Helm, values: Values, where: str) -> None:
    with pytest.raises(HelmFailed, match=where):
        await helm.template(PLATFORM_CHART, values)


def test_every_field_of_a_host_config_is_a_value() -> None:
    schema = json.loads((PLATFORM_CHART / "values.schema.json").read_text())
    known = set(schema["properties"]["hostConfig"]["properties"])
    fields = WasmCloudHostConfig.model_fields["spec"].annotation
    assert known >= {field.alias for field in fields.model_fields.values()}


async def test_the_parts_find_each_other(helm: Helm) -> None:
    objects = await helm.template(PLATFORM_CHART, namespace="team")
    pool = named(objects, "WasmCloudHostConfig")
    assert pool["spec"]["natsAddress"] == "nats://nats.team.svc.cluster.local:4222"
    container = named(objects, "Deployment", "wadm")["spec"]["template"]["spec"]["containers"][0]
    variables = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert variables["WADM_NATS_SERVER"] == "nats.team.svc.cluster.local:4222"
    service = named(objects, "Service", "nats")
    assert {port["port"] for port in service["spec"]["ports"]} == {4222, 7422, 4223}


async def test_an_address_of_each_part_needs_none_for_all(helm: Helm) -> None:
    values: Values = {
        "nats": {"enabled": False},
        "wadm": {"wadm": {"config": {"nats": {"server": "hub.example:4222"}}}},
        "hostConfig": {"natsAddress": "nats://hub.example:4222"},
    }
    objects = await helm.template(PLATFORM_CHART, values)
    assert named(objects, "WasmCloudHostConfig")["spec"]["natsAddress"] == "nats://hub.example:4222"
    container = named(objects, "Deployment", "wadm")["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "WADM_NATS_SERVER", "value": "hub.example:4222"} in container["env"]


async def test_nats_that_is_there_already_is_used_with_its_credentials(helm: Helm) -> None:
    values = {"nats": {"enabled": False, "address": "tls://hub.example:4222", "credentialsSecret": "hub"}}
    objects = await helm.template(PLATFORM_CHART, values)
    assert not [obj for obj in objects if obj["kind"] == "StatefulSet"]
    spec = named(objects, "WasmCloudHostConfig")["spec"]
    assert (spec["natsAddress"], spec["secretName"]) == ("tls://hub.example:4222", "hub")
    pod = named(objects, "Deployment", "wadm")["spec"]["template"]["spec"]
    assert pod["volumes"] == [{"name": "creds", "secret": {"secretName": "hub"}}]


@pytest.mark.parametrize(
    ("part", "kinds"), [("operator", {"ClusterRole"}), ("wadm", set()), ("hostConfig", {"WasmCloudHostConfig"})]
)
async def test_each_part_can_be_left_out(helm: Helm, part: str, kinds: set[str]) -> None:
    objects = await helm.template(PLATFORM_CHART, {part: {"enabled": False}})
    assert not kinds & {obj["kind"] for obj in objects}
    assert {"operator": "wasmcloud-operator", "wadm": "wadm"}.get(part) not in {
        obj["metadata"]["name"] for obj in objects if obj["kind"] == "Deployment"
    }


@pytest.mark.parametrize("values", [{}, ONE_SERVER, OFFICIAL], ids=["defaults", "one server", "official names"])
async def test_the_api_server_takes_every_object_and_stores_it_as_it_is(
    helm: Helm, crds: ControlPlane, admin: Admin, namespace: str, values: Values
) -> None:
    for obj in await helm.template(PLATFORM_CHART, values, namespace=namespace):
        place = obj["metadata"].get("namespace")
        path = await admin.path(f"{obj['apiVersion']}/{obj['kind']}", place, obj["metadata"]["name"])
        params = {"fieldManager": "helm", "force": "true", "dryRun": "All", "fieldValidation": "Strict"}
        stored = await admin.request("PATCH", path, obj, content_type="application/apply-patch+yaml", params=params)
        assert list(drift(obj, stored)) == []


async def test_a_real_nats_takes_the_configuration(helm: Helm, tmp_path: Path) -> None:
    objects = await helm.template(PLATFORM_CHART, ONE_SERVER)
    text = named(objects, "ConfigMap", "nats-config")["data"]["nats.conf"]
    config = tmp_path / "nats.conf"
    config.write_text(text.replace("$POD_NAME", "nats-0").replace("/data", str(tmp_path / "data")))
    program = await ensure("nats-server")
    checked = await asyncio.create_subprocess_exec(program, "-t", "--config", config, stderr=asyncio.subprocess.PIPE)
    async with asyncio.timeout(30):
        _, problems = await checked.communicate()
    assert checked.returncode == 0, problems.decode()


async def test_one_command_installs_everything_with_its_crds(helm: Helm, tmp_path: Path) -> None:
    async with ControlPlane.start(tmp_path / "cluster") as cluster, cluster.admin() as admin:
        helm = Helm(helm.program, helm.folder, cluster.kubeconfig_for(cluster.user("admin")))
        release = ("platform", "--namespace", "wasmcloud", str(PLATFORM_CHART))
        await helm.run("install", *release, "--create-namespace")
        pool = await admin.get(HOST_CONFIG, "wasmcloud-host", "wasmcloud")
        assert pool["spec"]["lattice"] == "default"
        for kind, name in (("Deployment", "wasmcloud-operator"), ("Deployment", "wadm"), ("StatefulSet", "nats")):
            assert await admin.get(f"apps/v1/{kind}", name, "wasmcloud")
        await helm.run("upgrade", *release, values={"hostConfig": {"hostReplicas": 2}})

        async def scaled() -> bool:
            live: dict[str, Any] = await admin.get(HOST_CONFIG, "wasmcloud-host", "wasmcloud")
            return bool(live["spec"]["hostReplicas"] == 2)

        await eventually(scaled)


def test_both_charts_carry_the_operators_version() -> None:
    own = yaml.safe_load((PLATFORM_CHART / "Chart.yaml").read_text())
    operator = yaml.safe_load((PLATFORM_CHART.parent / "wasmcloud-operator" / "Chart.yaml").read_text())
    assert own["dependencies"][0]["version"] == operator["version"]
    assert own["appVersion"] == operator["appVersion"]
