"""Whatever a host config says, the API server accepts what is made of it; and the examples are what they promise."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.objects.hostpools import config
from testbed import Admin
from wasmcloud_operator.hostpool.inputs import Authority, Facts, HubTls
from wasmcloud_operator.hostpool.render_workload import render
from wasmcloud_operator.kube.difference import difference
from wasmcloud_operator_types import WasmCloudHostConfig, custom_resource_definitions, dump, parse

EXAMPLES = Path(__file__).parents[2] / "manifests" / "examples"

LABELS = st.from_regex(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,20}[A-Za-z0-9])?", fullmatch=True)
TEXT = st.text(st.characters(codec="utf-8", blacklist_categories=("C", "Z")), min_size=1, max_size=20)
SUBJECTS = st.from_regex(r"[a-z$(){}\"]{1,8}(\.[a-z]{1,8})?", fullmatch=True)
TOKENS = st.text(
    st.characters(codec="utf-8", blacklist_categories=("C", "Z"), blacklist_characters=".*>"), min_size=1, max_size=20
)
IMAGES = st.from_regex(r"[a-z]{1,8}(\.[a-z]{2,4})?/[a-z]{1,8}(:[a-z0-9]{1,8})?", fullmatch=True)
PORTS = st.integers(1, 65535)
QUANTITIES = st.sampled_from([1, 2, "100m", "0.5", "1Gi", "64Mi"])
RESOURCES = st.fixed_dictionaries({}, optional={"requests": st.dictionaries(st.just("cpu"), QUANTITIES)})
TELEMETRY = st.fixed_dictionaries({}, optional={"enable": st.booleans(), "endpoint": st.just("http://o:1/$(X)")})
ENV = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["WASMCLOUD_LATTICE", "MINE", "OTHER"])},
        optional={"value": st.text(st.characters(codec="ascii", categories=("L", "N")), max_size=5)},
    ),
    max_size=2,
)
POD_ADDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "hostNetwork": st.booleans(),
        "nodeSelector": st.dictionaries(st.just("disk"), st.sampled_from(["", "ssd"])),
        "tolerations": st.lists(st.just({"operator": "Exists"}), max_size=1),
        "terminationGracePeriodSeconds": st.sampled_from([0, 60]),
        "priorityClassName": st.just(""),
        "serviceAccount": st.just("mine"),
        "hostAliases": st.just([{"ip": "10.0.0.1", "hostnames": ["hub"]}]),
        "topologySpreadConstraints": st.just(
            [
                {
                    "topologyKey": "topology.kubernetes.io/zone",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "maxSkew": 1,
                    "labelSelector": {"matchLabels": {"app.kubernetes.io/instance": "pool"}},
                }
            ]
        ),
        "containers": st.just([{"name": "mine", "image": "i", "stdin": False}]),
        "initContainers": st.sampled_from(
            [[{"name": "first", "image": "i"}], [{"name": "nats-leaf"}, {"name": "later", "image": "i"}], None]
        ),
        "volumes": st.sampled_from([[], [{"name": "tmp", "emptyDir": {"medium": "Memory"}}], [{"name": "x"}]]),
        "securityContext": st.sampled_from(
            [{"runAsUser": 5}, {"fsGroup": 7, "sysctls": []}, {"runAsUser": None}, None]
        ),
    },
)
CONTAINER_ADDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "env": ENV,
        "resources": RESOURCES,
        "livenessProbe": st.sampled_from(
            [{"exec": {"command": ["true"]}}, {"tcpSocket": {"port": 1}, "initialDelaySeconds": 0}]
        ),
        "securityContext": st.sampled_from([{"readOnlyRootFilesystem": True}, {"privileged": True}, {"runAsUser": 0}]),
        "tty": st.booleans(),
    },
)
SCHEDULING = st.fixed_dictionaries(
    {},
    optional={
        "daemonset": st.booleans(),
        "rollingUpdate": st.one_of(
            st.fixed_dictionaries({"maxSurge": st.sampled_from([0, 1, "0%", "25%"])}),
            st.fixed_dictionaries({"maxUnavailable": st.sampled_from([1, "50%"])}),
        ),
        "resources": st.fixed_dictionaries({}, optional={"nats": RESOURCES, "wasmcloud": RESOURCES}),
        "podTemplateAdditions": POD_ADDITIONS,
        "containerTemplateAdditions": st.fixed_dictionaries(
            {}, optional={"nats": CONTAINER_ADDITIONS, "wasmcloud": CONTAINER_ADDITIONS}
        ),
    },
)
SPECS = (
    st.fixed_dictionaries(
        {"lattice": TOKENS, "version": st.sampled_from(["0.82.0", "1.0.2", "1.4.2", "1.6.0", "latest"])},
        optional={
            "hostReplicas": st.integers(0, 5),
            "podMetadata": st.just({"labels": {"team": "a"}, "annotations": {"sidecar.istio.io/inject": "false"}}),
            "serviceAccount": st.sampled_from([{}, {"name": "mine"}, {"annotations": {"a.example/role": "b"}}]),
            "image": IMAGES,
            "natsLeafImage": IMAGES,
            "hostLabels": st.dictionaries(LABELS, st.one_of(st.just(""), LABELS), max_size=3),
            "natsAddress": st.sampled_from(["h", "nats://u:p@h:4222,nats://h:4223", "wss://[fd00::1]", "tls://h"]),
            "natsLeafnodePort": PORTS,
            "jetstreamDomain": SUBJECTS,
            "leafNodeDomain": SUBJECTS,
            "leafService": st.fixed_dictionaries({}, optional={"enabled": st.booleans()}),
            "registryCredentialsSecret": st.just("pull"),
            "configServiceEnabled": st.booleans(),
            "enableStructuredLogging": st.booleans(),
            "logLevel": st.sampled_from(["trace", "INFO"]),
            "controlTopicPrefix": SUBJECTS,
            "allowLatest": st.booleans(),
            "allowedInsecure": st.lists(st.just("r:5000"), max_size=2),
            "policyService": st.just({"topic": "p", "timeoutMs": 1, "changesTopic": "c"}),
            "secretsTopicPrefix": SUBJECTS,
            "maxLinearMemoryBytes": st.integers(65536, 2**62),
            "observability": st.fixed_dictionaries(
                {},
                optional={"enable": st.booleans(), "protocol": st.just("grpc"), "logs": TELEMETRY, "traces": TELEMETRY},
            ),
            "probes": st.fixed_dictionaries({}, optional={"enabled": st.booleans(), "port": PORTS}),
            "schedulingOptions": SCHEDULING,
            "podDisruptionBudget": st.sampled_from([{}, {"minAvailable": "50%"}, {"maxUnavailable": 0}]),
            "certificates": st.just({"authorities": [{"name": "roots", "secret": {"secretName": "ca", "items": []}}]}),
            "natsTls": st.just({"secretName": "hub"}),
            "secretName": st.just("keys"),
        },
    )
    .filter(
        lambda spec: (
            spec.get("leafNodeDomain", "leaf") != spec.get("jetstreamDomain", "default")
            and spec.get("probes", {}).get("port") not in (4222, 8222)
        )
    )
    .filter(lambda spec: not (spec.get("schedulingOptions", {}).get("daemonset") and "podDisruptionBudget" in spec))
)


def facts_for(spec):
    return Facts(
        credentials="secretName" in spec,
        hub_tls=HubTls(True, True, "t") if "natsTls" in spec else None,
        registries=("ghcr.io",) if "registryCredentialsSecret" in spec else (),
        registry_digest="r" if "registryCredentialsSecret" in spec else "",
        authorities=tuple(
            Authority(authority["name"], ("a.crt", "b $(x).crt"), "a")
            for authority in spec.get("certificates", {}).get("authorities", ())
        ),
    )


async def dry_run(admin: Admin, body, namespace):
    """The object that the API server would store; it names every field that it does not know."""
    path = await admin.path(f"{body['apiVersion']}/{body['kind']}", namespace, body["metadata"]["name"])
    params = {"dryRun": "All", "fieldManager": "test", "force": "true", "fieldValidation": "Strict"}
    return await admin.request("PATCH", path, body, content_type="application/apply-patch+yaml", params=params)


@given(spec=SPECS)
@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_valid_spec_gives_objects_that_the_server_accepts_and_keeps_whole(control_plane, namespace, spec):
    children = render(config(spec, namespace=namespace), facts_for(spec))

    async def check():
        async with control_plane.admin() as admin:
            for child in children.all:
                stored = await dry_run(admin, child.body, namespace)
                assert difference(child.body, stored) is None  # or it would be applied for ever

    asyncio.run(check())


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.yaml")), ids=lambda path: str(path.relative_to(EXAMPLES)))
async def test_the_examples_are_accepted_and_render(crds, admin, namespace, path):
    for body in yaml.safe_load_all(path.read_text()):
        body["metadata"]["namespace"] = namespace
        stored = await dry_run(admin, body, namespace)
        if body["kind"] != WasmCloudHostConfig.KIND:
            continue
        parsed = parse(WasmCloudHostConfig, {**stored, "metadata": {**body["metadata"], "namespace": namespace}})
        assert dump(parsed.spec) == body["spec"]
        for child in render(parsed, facts_for(body["spec"])).all:
            child.body["metadata"]["ownerReferences"][0]["uid"] = "of-a-dry-run"
            assert difference(child.body, await dry_run(admin, child.body, namespace)) is None


def test_the_full_example_has_every_field():
    (body,) = yaml.safe_load_all((EXAMPLES / "hostconfig-full.yaml").read_text())
    (version,) = custom_resource_definitions()[0]["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert schema["properties"].keys() == body["spec"].keys()
