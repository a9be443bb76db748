"""The API server and the types package take and refuse the same host configs: one right spec, changed at random."""

from __future__ import annotations

import asyncio
import copy
import os
import random

from testbed import ApiError
from wasmcloud_operator_types import InvalidObjectError, WasmCloudHostConfig, parse

SPEC = {
    "hostReplicas": 2, "lattice": "blue", "version": "1.4.2", "image": "r.example/w:1", "issuers": ["CDKQ"],
    "hostLabels": {"zone": "a"}, "natsAddress": "nats://h", "natsClientPort": 4222, "jetstreamDomain": "default",
    "leafNodeDomain": "leaf", "secretName": "keys", "registryCredentialsSecret": "pull", "logLevel": "INFO",
    "allowedInsecure": ["localhost:5000"], "policyService": {"topic": "p", "timeoutMs": 1, "changesTopic": "c"},
    "secretsTopicPrefix": "s", "maxLinearMemoryBytes": 65536, "controlTopicPrefix": "a.b", "allowLatest": True,
    "observability": {"enable": True, "endpoint": "http://o", "protocol": "grpc", "logs": {"enable": True}},
    "certificates": {"authorities": [{"name": "ca", "configMap": {"name": "ca"}}]},
    "probes": {"enabled": True, "port": 9090}, "leafService": {"enabled": True}, "natsTls": {"secretName": "hub"},
    "podMetadata": {"labels": {"team": "a"}, "annotations": {"a/b": "c"}}, "serviceAccount": {"name": "sa"},
    "daemonset": False, "podDisruptionBudget": {"maxUnavailable": "50%"},
    "schedulingOptions": {
        "daemonset": False, "rollingUpdate": {"maxSurge": 1, "maxUnavailable": "25%"},
        "resources": {"nats": {"limits": {"memory": "1Gi", "cpu": 1}, "requests": {"cpu": "100m"}}},
        "podTemplateAdditions": {
            "nodeSelector": {"disk": "ssd"}, "tolerations": [{"key": "a", "tolerationSeconds": 5}],
            "hostNetwork": False,
            "containers": [{"name": "side", "image": "i", "ports": [{"containerPort": 80, "protocol": "TCP"}]}],
            "volumes": [{"name": "a", "emptyDir": {"sizeLimit": "1Gi"}}], "securityContext": {"runAsUser": 5},
        },
        "containerTemplateAdditions": {
            "wasmcloud": {"env": [{"name": "A", "value": "b"}], "resources": {"limits": {"cpu": "1"}}, "args": ["a"]},
            "nats": {"livenessProbe": {"httpGet": {"port": 1, "path": "/"}}},
        },
    },
}  # fmt: skip
VALUES = (
    None, True, 0, -1, 1, 2.0, 65535, 65536, 2**31, 2**53, 2**63, 1.5, "", "a", "a b", "a\u00a0b", "a\u2028b", "A",
    "a.b", "-a", "a\n", "0%", "101%", "1GB", "1Gi", ".5", "1e3", "+1", "-1", "default", "leaf", "grpc", "x" * 64,
    "x" * 254, "é", "*", [], ["a"], [None], [{}], {}, {"a": "b"}, {"a": None}, {"a": 1}, {"name": "a"}, 4222, "0.82.0",
    "kubernetes_pod_name",
)  # fmt: skip
# The full number takes minutes; every one is found again by its seed.
EXAMPLES = int(os.environ.get("CRD_EXAMPLES", "300"))


def places(value, path=()):
    """Paths of every field, entry and item."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield (*path, key)
        yield from places(inner, (*path, key))


def changed(seed):
    """The spec with one or two places changed, removed, or a field added."""
    chance = random.Random(seed)
    spec = copy.deepcopy(SPEC)
    for _ in range(chance.choice((1, 1, 2))):
        *parents, last = chance.choice(list(places(spec)))
        place = spec
        for step in parents:
            place = place[step]
        match chance.randrange(8):
            case 0:
                del place[last]
            case 1 if isinstance(place, dict):
                place["notAField"] = chance.choice(VALUES)
            case _:
                place[last] = copy.deepcopy(chance.choice(VALUES))
    return spec


async def taken_by_server(admin, spec, namespace):
    body = {"apiVersion": "k8s.wasmcloud.dev/v1alpha1", "kind": "WasmCloudHostConfig", "metadata": {"name": "x"}}
    path = await admin.path("k8s.wasmcloud.dev/v1alpha1/WasmCloudHostConfig", namespace, "x")
    params = {"dryRun": "All", "fieldManager": "test", "force": "true", "fieldValidation": "Strict"}
    try:
        await admin.request(
            "PATCH", path, {**body, "spec": spec}, content_type="application/apply-patch+yaml", params=params
        )
    except ApiError as error:
        if error.status not in (400, 422, 500):
            raise
        return str(error)
    return ""


def taken_by_parse(spec):
    try:
        parse(WasmCloudHostConfig, {"metadata": {"name": "x"}, "spec": spec})
    except InvalidObjectError as error:
        return str(error)
    return ""


async def test_both_take_and_refuse_the_same(admin, crds, namespace):
    for start in range(0, EXAMPLES, 20):
        specs = {seed: changed(seed) for seed in range(start, min(start + 20, EXAMPLES))}
        answers = await asyncio.gather(*(taken_by_server(admin, spec, namespace) for spec in specs.values()))
        for (seed, spec), server in zip(specs.items(), answers, strict=True):
            model = taken_by_parse(spec)
            assert bool(server) == bool(model), (seed, server[-400:], model)
