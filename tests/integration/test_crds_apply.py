"""The CRDs against a real API server: taken whole, and what a user gets wrong is refused with words that help."""

from __future__ import annotations

import asyncio
import copy
import json
import sys
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from testbed import ApiError, ControlPlane
from testbed.controlplane import APISERVER
from wasmcloud_operator.commands.crds import crd_files, write
from wasmcloud_operator_types import (
    Application,
    InvalidObjectError,
    WasmCloudHostConfig,
    custom_resource_definitions,
    parse,
)
from wasmcloud_operator_types.embedded import NAMES, embedded_schema

ROOT = Path(__file__).parents[2]
WHC = "k8s.wasmcloud.dev/v1alpha1/WasmCloudHostConfig"
APP = "core.oam.dev/v1beta1/Application"

HOSTS = {
    "apiVersion": "k8s.wasmcloud.dev/v1alpha1",
    "kind": "WasmCloudHostConfig",
    "metadata": {"name": "hosts"},
    "spec": {"lattice": "default", "version": "1.0.2"},
}
EVERYTHING = {
    "hostReplicas": 2,
    "issuers": ["CDKQ"],
    "lattice": "83a5b52e-17cf-4080-bac8-f844099f142e",
    "version": "1.4.2",
    "image": "registry.example.com/wasmcloud:1.4.2",
    "natsLeafImage": "registry.example.com/nats:2.10.16",
    "hostLabels": {"some-label": "value", "empty": ""},
    "natsAddress": "nats://nats-cluster.default.svc.cluster.local",
    "natsClientPort": 4222,
    "natsLeafnodePort": 7422,
    "jetstreamDomain": "default",
    "leafNodeDomain": "leaf",
    "secretName": "my-hosts",
    "registryCredentialsSecret": "my-registry-secret",
    "enableStructuredLogging": True,
    "configServiceEnabled": False,
    "controlTopicPrefix": "wasmbus.ctl",
    "allowLatest": False,
    "allowedInsecure": ["localhost:5000"],
    "logLevel": "INFO",
    "policyService": {"topic": "policy", "timeoutMs": 1000, "changesTopic": "policy.changes"},
    "secretsTopicPrefix": "wasmcloud.secrets",
    "maxLinearMemoryBytes": 1073741824,
    "observability": {
        "enable": True,
        "endpoint": "http://collector:4318",
        "protocol": "http",
        "logs": {"enable": True, "endpoint": "http://logs:4318"},
    },
    "certificates": {
        "authorities": [{"name": "ca", "configMap": {"name": "ca", "items": [{"key": "a.crt", "path": "a"}]}}]
    },
    "daemonset": True,
    "schedulingOptions": {
        "daemonset": True,
        "resources": {"nats": {"requests": {"cpu": "100m"}}, "wasmcloud": {"limits": {"memory": "1Gi", "cpu": 2}}},
        "podTemplateAdditions": {
            "tolerations": [{"operator": "Exists"}],
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "volumes": [{"name": "data", "emptyDir": {"sizeLimit": "1Gi"}}],
            "containers": [{"name": "wasmcloud-host", "env": [{"name": "A", "value": "b"}]}],
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "zone",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": {"a": "b"}},
                }
            ],
        },
        "containerTemplateAdditions": {
            "wasmcloud": {
                "livenessProbe": {"httpGet": {"port": "admin", "path": "/livez"}, "periodSeconds": 5},
                "ports": [{"containerPort": 9090}],
                "securityContext": {"capabilities": {"drop": ["ALL"]}},
            },
            "nats": {"envFrom": [{"secretRef": {"name": "s"}}]},
        },
    },
}

HELLO = {
    "apiVersion": "core.oam.dev/v1beta1",
    "kind": "Application",
    "metadata": {"name": "hello"},
    "spec": {
        "components": [
            {
                "name": "web",
                "type": "component",
                "properties": {
                    "image": "ghcr.io/x/web:1",
                    "id": "web",
                    "config": [{"name": "c", "properties": {"port": "8080"}}],
                    "secrets": [
                        {"name": "s", "properties": {"policy": "vault", "key": "k", "field": "f", "version": "1"}}
                    ],
                },
                "traits": [
                    {
                        "type": "spreadscaler",
                        "properties": {
                            "instances": 1,
                            "spread": [{"name": "s", "requirements": {"a": "b"}, "weight": 5}],
                        },
                    },
                    {"type": "not-known-yet", "properties": {"instances": "many", "target": [1, {"deep": None}]}},
                ],
            },
            {
                "name": "server",
                "type": "capability",
                "properties": {"application": {"name": "shared", "component": "http"}},
                "traits": [
                    {
                        "type": "link",
                        "properties": {
                            "namespace": "wasi",
                            "package": "http",
                            "interfaces": ["incoming-handler"],
                            "target": "web",
                            "source_config": [{"name": "a", "properties": {"address": "0.0.0.0:8000"}}],
                        },
                    }
                ],
            },
            {
                "name": "old",
                "type": "actor",
                "properties": {"image": "x"},
                "traits": [{"type": "daemonscaler", "properties": {"replicas": 1}}],
            },
        ],
        "policies": [
            {"name": "vault", "type": "policy.secret.wasmcloud.dev/v1alpha1", "properties": {"backend": "nats-kv"}}
        ],
    },
}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def crds(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """Both CRDs, established, as the API server has them."""
    folder = tmp_path_factory.mktemp("crds")
    write(folder)
    return await control_plane.admin().apply_files(*sorted(folder.iterdir()))


def with_spec(base, **changes):
    obj = copy.deepcopy(base)
    obj["spec"] |= changes
    return obj


def with_place(base, path, value):
    obj = copy.deepcopy(base)
    *parents, last = path
    place = obj
    for step in parents:
        place = place[step]
    place[last] = value
    return obj


def dropped(written, stored, path=""):
    """Paths of what was written and is not stored the same."""
    if isinstance(written, dict) and isinstance(stored, dict):
        return [at for key in written for at in dropped(written[key], stored.get(key), f"{path}.{key}")]
    if isinstance(written, list) and isinstance(stored, list) and len(written) == len(stored):
        return [
            at
            for i, (one, other) in enumerate(zip(written, stored, strict=True))
            for at in dropped(one, other, f"{path}[{i}]")
        ]
    return [] if written == stored else [path]


async def test_the_server_takes_the_crds_whole(admin, crds):
    written = {crd["metadata"]["name"]: crd for crd in map(yaml.safe_load, crd_files().values())}
    for name, crd in written.items():
        stored = await admin.get("apiextensions.k8s.io/v1/CustomResourceDefinition", name)
        assert dropped(crd["spec"], stored["spec"]) == []
        conditions = {condition["type"]: condition for condition in stored["status"]["conditions"]}
        assert conditions["Established"]["status"] == "True"
        assert conditions["NamesAccepted"]["status"] == "True"
        assert "NonStructuralSchema" not in conditions
    assert len(crds) == 2


async def test_short_names_categories_and_scale_are_served(admin, crds):
    hosts = await admin.request("GET", "/apis/k8s.wasmcloud.dev/v1alpha1")
    apps = await admin.request("GET", "/apis/core.oam.dev/v1beta1")
    served = {resource["name"]: resource for resource in hosts["resources"] + apps["resources"]}
    assert served.keys() == {
        "wasmcloudhostconfigs",
        "wasmcloudhostconfigs/status",
        "wasmcloudhostconfigs/scale",
        "applications",
        "applications/status",
    }
    assert served["wasmcloudhostconfigs"]["shortNames"] == ["whc"]
    assert served["applications"]["shortNames"] == ["app"]


@pytest.mark.parametrize("obj", [HOSTS, with_spec(HOSTS, **EVERYTHING), HELLO], ids=["smallest", "everything", "app"])
async def test_a_written_object_is_stored_and_parses(admin, crds, namespace, obj):
    applied = await admin.apply(obj, namespace)
    added = {"hostReplicas": 1} if obj is HOSTS else {}
    assert applied["spec"] == obj["spec"] | added
    assert applied["status"] == {"observedGeneration": -1}
    model = WasmCloudHostConfig if obj["kind"] == "WasmCloudHostConfig" else Application
    parsed = parse(model, applied)
    assert parsed.metadata.namespace == namespace
    # The first apply over a new object stores the default of its status, whatever the kind: from then on nothing moves.
    settled, again = [await admin.apply(obj, namespace) for _ in range(2)]
    assert again["metadata"]["resourceVersion"] == settled["metadata"]["resourceVersion"]
    assert again["metadata"]["generation"] == 1


async def test_the_pool_scales_by_its_subresource(admin, crds, namespace):
    await admin.apply(HOSTS, namespace)
    path = await admin.path(WHC, namespace, "hosts/scale")
    assert (await admin.request("GET", path))["spec"] == {"replicas": 1}
    await admin.scale(WHC, "hosts", namespace, 5)
    assert (await admin.get(WHC, "hosts", namespace))["spec"]["hostReplicas"] == 5


async def refusal(admin, obj, namespace):
    """What the API server says to `kubectl create` of the object; older ones say a refused object's type too."""
    with pytest.raises(ApiError) as raised:
        await admin.create(obj, namespace)
    assert raised.value.status == 422, raised.value
    return str(raised.value).replace('Invalid value: "object": ', "Invalid value: ")


LABEL_RULE = "hostLabels must be usable as pod labels"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hostReplicas": -1}, "spec.hostReplicas: Invalid value: -1"),
        ({"hostReplicas": "2"}, 'spec.hostReplicas: Invalid value: "string"'),
        ({"lattice": ""}, "spec.lattice: Invalid value"),
        ({"lattice": "a b"}, "spec.lattice: Invalid value"),
        ({"lattice": "a.>"}, "spec.lattice: Invalid value"),
        ({"lattice": None}, "spec.lattice: Required value"),
        ({"version": ""}, "spec.version: Invalid value"),
        ({"version": "1.0 beta"}, "spec.version: Invalid value"),
        ({"natsClientPort": 0}, "spec.natsClientPort: Invalid value: 0: spec.natsClientPort in body should be greater"),
        ({"natsLeafnodePort": 65536}, "spec.natsLeafnodePort: Invalid value: 65536"),
        ({"natsClientPort": "4222"}, 'spec.natsClientPort: Invalid value: "string"'),
        ({"hostLabels": {"-bad": "x"}}, LABEL_RULE),
        ({"hostLabels": {"with space": "x"}}, LABEL_RULE),
        ({"hostLabels": {"a/b": "x"}}, LABEL_RULE),
        ({"hostLabels": {"a" * 64: "x"}}, LABEL_RULE),
        ({"hostLabels": {"a": "no spaces"}}, LABEL_RULE),
        ({"hostLabels": {"a": 5}}, 'spec.hostLabels.a: Invalid value: "integer"'),
        (
            {"observability": {"protocol": "carrier-pigeon"}},
            "spec.observability.protocol in body should match '^(grpc|http)$'",
        ),
        ({"logLevel": "info,async_nats=debug"}, "should match '^(ERROR|WARN|INFO|"),
        ({"policyService": {"timeoutMs": 5}}, "timeoutMs and changesTopic need topic"),
        ({"certificates": {"authorities": [{"name": "x"}]}}, "name either a secret or a configMap"),
        ({"issuers": ["C"], "version": "0.82.0"}, "issuers need secretName"),
        ({"daemonset": True, "schedulingOptions": {"daemonset": False}}, "contradict each other"),
        (
            {"daemonset": True, "podDisruptionBudget": {}},
            "podDisruptionBudget of a daemonset can only have minAvailable",
        ),
        (
            {"schedulingOptions": {"daemonset": True}, "podDisruptionBudget": {"minAvailable": "50%"}},
            "podDisruptionBudget of a daemonset can only have minAvailable",
        ),
        ({"podMetadata": {"labels": {"app.kubernetes.io/name": "x"}}}, "none of the operator's own"),
        ({"podMetadata": {"annotations": {"checksum.k8s.wasmcloud.dev/x": "x"}}}, "none of the operator's own"),
        ({"podMetadata": {"labels": {"a": "no spaces"}}}, "values must be usable as labels"),
        ({"serviceAccount": {"name": "a", "annotations": {"b": "c"}}}, "set name or annotations, not both"),
        ({"serviceAccount": {"annotations": {"a b": "c"}}}, "keys must be those of labels"),
        ({"probes": {"port": 8222}}, "4222 and 8222 are the leaf node's"),
        ({"leafNodeDomain": "default"}, "leafNodeDomain and jetstreamDomain must differ"),
        ({"jetstreamDomain": "leaf"}, "leafNodeDomain and jetstreamDomain must differ"),
        ({"schedulingOptions": {"rollingUpdate": {"maxSurge": "0%", "maxUnavailable": 0}}}, "no pod could be replaced"),
        ({"schedulingOptions": {"rollingUpdate": {"maxUnavailable": "101%"}}}, "maxUnavailable"),
        ({"podDisruptionBudget": {"minAvailable": "a few"}}, "minAvailable"),
        ({"schedulingOptions": {"resources": {"wasmcloud": {"limits": {"memory": "1GB"}}}}}, "limits.memory"),
        ({"schedulingOptions": {"resources": {"nats": {"requests": {"cpu": -1}}}}}, "requests.cpu"),
        ({"secretName": "Not A Name"}, "spec.secretName: Invalid value"),
        ({"natsAddress": "nats://a\nb"}, "spec.natsAddress: Invalid value"),
        ({"maxLinearMemoryBytes": 1}, "spec.maxLinearMemoryBytes: Invalid value"),
        (
            {"schedulingOptions": {"podTemplateAdditions": {"containers": {}}}},
            "spec.schedulingOptions.podTemplateAdditions.containers: Invalid value",
        ),
        (
            {"schedulingOptions": {"containerTemplateAdditions": {"nats": {"imagePullPolicy": "always"}}}},
            "should match '^(Always|IfNotPresent|Never)$'",
        ),
        (
            {"schedulingOptions": {"containerTemplateAdditions": {"nats": {"resources": {"limits": {"cpu": "much"}}}}}},
            "spec.schedulingOptions.containerTemplateAdditions.nats.resources.limits.cpu: Invalid value",
        ),
    ],
)
async def test_a_bad_host_config_is_refused_with_words_that_help(admin, crds, namespace, changes, message):
    assert message in await refusal(admin, with_spec(HOSTS, **changes), namespace)


async def test_a_bad_name_of_a_host_config_is_refused_at_its_path(admin, crds, namespace):
    said = await refusal(admin, with_place(HOSTS, ("metadata", "name"), "1abc"), namespace)
    assert "metadata.name: Invalid value: metadata.name must be usable as the name of a Service" in said


COMPONENT = ("spec", "components", 0)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("metadata", "name"), "my.app", "metadata.name: Invalid value: must have no dots"),
        ((*COMPONENT, "type"), "provider", 'supported values: "component", "actor", "capability"'),
        ((*COMPONENT, "properties"), {}, "give exactly one of image and application"),
        (
            (*COMPONENT, "properties", "application"),
            {"name": "a", "component": "b"},
            "spec.components[0].properties: Invalid value: give exactly one of image and application",
        ),
        (
            (*COMPONENT, "properties", "config", 0, "properties", "port"),
            8080,
            'spec.components[0].properties.config[0].properties.port: Invalid value: "integer"',
        ),
        ((*COMPONENT, "properties", "config", 0), {}, "spec.components[0].properties.config[0].name: Required value"),
        ((*COMPONENT, "traits", 0), {"type": "link"}, "spec.components[0].traits[0].properties: Required value"),
        (("spec", "components"), "web", "spec.components: Invalid value"),
        (("spec",), {}, "spec.components: Required value"),
        (("spec", "policies", 0, "properties", "n"), 1, 'spec.policies[0].properties.n: Invalid value: "integer"'),
    ],
)
async def test_a_bad_application_is_refused_with_words_that_help(admin, crds, namespace, path, value, message):
    assert message in await refusal(admin, with_place(HELLO, path, value), namespace)


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


async def test_five_hundred_components_and_unknown_fields_are_kept(admin, crds, namespace):
    components = [
        {"name": f"c{n}", "type": "component", "properties": {"image": "x" * 1000, "later": {"a": [n]}}, "hint": n}
        for n in range(500)
    ]
    spec = {"components": components, "later": {"x": True}}
    obj = HELLO | {"spec": spec}
    stored = await admin.create(obj, namespace)
    assert stored["spec"] == spec


@pytest.mark.skipif(APISERVER != "kube-apiserver", reason="the schemas are those of one version")
async def test_the_embedded_schemas_are_those_of_the_server(admin, tmp_path):
    """Fails after an upgrade of the testbed's Kubernetes: then run types/scripts/embed_schemas.py."""
    published = await admin.request("GET", "/openapi/v3/api/v1")
    script = ROOT / "types" / "scripts" / "embed_schemas.py"
    (tmp_path / "published.json").write_text(json.dumps(published))
    with (tmp_path / "published.json").open() as source:
        made = await asyncio.create_subprocess_exec(sys.executable, script, "--to", tmp_path, stdin=source)
        assert await asyncio.wait_for(made.wait(), 60) == 0
    for name in NAMES:
        kept = ROOT / "types" / "src" / "wasmcloud_operator_types" / "data" / f"{name}.json"
        assert (tmp_path / f"{name}.json").read_text() == kept.read_text()
