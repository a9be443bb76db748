"""Every field of a host config takes effect: one row a field, and no field without a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from support.objects.hostpools import (
    AUTHORITY,
    ONE_REGISTRY,
    SECRET_CA,
    Rendered,
    authority,
    config,
    rendered,
    scheduling,
)
from wasmcloud_operator.hostpool.inputs import Facts, HubTls
from wasmcloud_operator.hostpool.nats_addresses import client_urls
from wasmcloud_operator_types import WasmCloudHostConfigSpec

NOTHING = Facts()
POLICY = {"topic": "policy.ask", "timeoutMs": 500, "changesTopic": "policy.changed"}
MAP_CA = {"name": "roots", "configMap": {"name": "ca"}}
PINNED = "v1.5.0@sha256:" + "0a" * 32
HOST_SECRET = {"secretName": "keys", "issuers": ["CA", "CB"], "version": "0.82.0"}


def observability(**fields: Any) -> dict[str, Any]:
    return {"observability": fields}


Look = Callable[[Rendered], Any]


@dataclass(frozen=True)
class Row:
    """A field by its JSON path, a spec that has it, where it shows, and what must be there."""

    path: str
    spec: dict[str, Any]
    look: Look
    expected: Any
    facts: Facts = NOTHING


def env(name: str) -> Look:
    return lambda found: found.env.get(f"WASMCLOUD_{name}")


def args(found: Rendered) -> list[str]:
    return found.args


def roots(found: Rendered) -> Any:
    return found.volumes["roots"]


def items(kind: str) -> dict[str, Any]:
    source = {"secretName": "ca"} if kind == "secret" else {"name": "ca"}
    return authority({"name": "roots", kind: {**source, "items": [{"key": "k", "path": "a.crt", "mode": 256}]}})


def conf_says(text: str) -> Look:
    return lambda found: text in found.nats_conf


SOURCE_ROWS = [
    row
    for kind, reference in (("secret", "secretName"), ("configMap", "name"))
    for row in (
        Row(f"certificates.authorities[].{kind}.{reference}", authority({"name": "roots", kind: {reference: "ca"}}),
            lambda found, kind=kind: roots(found)[kind], {reference: "ca"}, AUTHORITY),
        Row(f"certificates.authorities[].{kind}.items[].key", items(kind),
            lambda found, kind=kind: roots(found)[kind]["items"][0]["key"], "k", AUTHORITY),
        Row(f"certificates.authorities[].{kind}.items[].path", items(kind),
            lambda found, kind=kind: roots(found)[kind]["items"][0]["path"], "a.crt", AUTHORITY),
        Row(f"certificates.authorities[].{kind}.items[].mode", items(kind),
            lambda found, kind=kind: roots(found)[kind]["items"][0]["mode"], 256, AUTHORITY),
        Row(f"certificates.authorities[].{kind}.defaultMode",
            authority({"name": "roots", kind: {reference: "ca", "defaultMode": 288}}),
            lambda found, kind=kind: roots(found)[kind]["defaultMode"], 288, AUTHORITY),
        Row(f"certificates.authorities[].{kind}.optional",
            authority({"name": "roots", kind: {reference: "ca", "optional": True}}),
            lambda found, kind=kind: roots(found)[kind]["optional"], True, AUTHORITY),
    )
]  # fmt: skip

TELEMETRY_ROWS = [
    row
    for signal in ("logs", "metrics", "traces")
    for row in (
        Row(f"observability.{signal}.enable", observability(**{signal: {"enable": True}}), args,
            [f"--enable-{signal}=true"]),
        Row(f"observability.{signal}.endpoint", observability(**{signal: {"enable": True, "endpoint": "http://o:1"}}),
            args, [f"--enable-{signal}=true", f"--override-{signal}-endpoint=http://o:1"]),
    )
]  # fmt: skip

RESOURCE_ROWS = [
    row
    for part, container in (("nats", "leaf"), ("wasmcloud", "host"))
    for name, value in (
        ("limits", {"cpu": 1, "memory": "1Gi"}),
        ("requests", {"cpu": "7m", "memory": "1Gi"}),
    )
    for row in (
        Row(f"schedulingOptions.resources.{part}.{name}", scheduling(resources={part: {name: value}}),
            lambda found, container=container, name=name: getattr(found, container)["resources"][name], value),
    )
] + [
    Row(f"schedulingOptions.resources.{part}.claims[].{name}",
        scheduling(resources={part: {"claims": [{"name": "gpu", "request": "one"}]}}),
        lambda found, container=container: getattr(found, container)["resources"]["claims"],
        [{"name": "gpu", "request": "one"}])
    for part, container in (("nats", "leaf"), ("wasmcloud", "host"))
    for name in ("name", "request")
]  # fmt: skip

ROWS = [
    Row("hostReplicas", {"hostReplicas": 7}, lambda found: found.workload["spec"]["replicas"], 7),
    Row("hostReplicas", {}, lambda found: found.workload["spec"]["replicas"], 1),
    Row("hostReplicas", {"hostReplicas": 0}, lambda found: found.workload["spec"]["replicas"], 0),
    Row("lattice", {"lattice": "Über_Länge:42"}, env("LATTICE"), "Über_Länge:42"),
    Row("lattice", {"lattice": "a$(HOME)b"}, env("LATTICE"), "a$$(HOME)b"),
    Row("version", {"version": "1.7.0"}, lambda found: found.host["image"], "ghcr.io/wasmcloud/wasmcloud:1.7.0"),
    Row("version", {"version": PINNED}, lambda found: (found.host["image"], "readinessProbe" in found.host),
        (f"ghcr.io/wasmcloud/wasmcloud:{PINNED}", True)),
    Row("version", {"version": "1.4.2"}, lambda found: "readinessProbe" in found.host, False),
    Row("version", {"version": "latest"}, lambda found: "readinessProbe" in found.host, True),
    Row("version", {"version": "main", "image": "r.example/w:main"},
        lambda found: ("readinessProbe" in found.host, "WASMCLOUD_HTTP_ADMIN" in found.env), (False, False)),
    Row("version", {"version": "0.82.0"}, env("LATTICE_PREFIX"), "default"),
    Row("version", {"version": "1.0.0"}, env("LATTICE_PREFIX"), None),
    Row("version", {"version": "1.0.4", **authority(SECRET_CA)}, args, [], AUTHORITY),
    Row("version", {"version": "1.0.4", "secretsTopicPrefix": "own"}, env("SECRETS_TOPIC"), None),
    Row("version", {"version": "1.1.1", "maxLinearMemoryBytes": 1 << 20}, env("MAX_LINEAR_MEMORY"), None),
    Row("version", {"version": "0.82.0", **observability(enable=True, endpoint="http://o")}, args, []),
    Row("version", {"version": "1.0.4", **observability(enable=True, endpoint="http://o", protocol="grpc")}, args,
        ["--enable-observability", "--override-observability-endpoint=http://o"]),
    Row("image", {"image": "r.example/w:1"}, lambda found: found.host["image"], "r.example/w:1"),
    Row("natsLeafImage", {"natsLeafImage": "r.example/n:1"}, lambda found: found.leaf["image"], "r.example/n:1"),
    Row("natsLeafImage", {}, lambda found: found.leaf["image"], "nats:2.15.2-alpine"),
    Row("issuers", HOST_SECRET, env("CLUSTER_ISSUERS"), "CA,CB"),
    Row("issuers", {**HOST_SECRET, "version": "1.0.2"}, env("CLUSTER_ISSUERS"), None),
    Row("secretName", HOST_SECRET, env("CLUSTER_SEED"),
        {"secretKeyRef": {"name": "keys", "key": "WASMCLOUD_CLUSTER_SEED"}}),
    Row("secretName", {"secretName": "keys"}, lambda found: found.volumes["nats-creds"]["secret"]["secretName"],
        "keys", Facts(credentials=True)),
    Row("hostLabels", {"hostLabels": {"zone": "a", "kubernetes": "no"}},
        lambda found: [found.env[f"WASMCLOUD_LABEL_{key}"] for key in ("zone", "kubernetes")], ["a", "no"]),
    Row("hostLabels", {"hostLabels": {"zone": "a"}},
        lambda found: found.template["metadata"]["labels"]["host-label.k8s.wasmcloud.dev/zone"], "a"),
    Row("hostLabels", {}, lambda found: found.template["metadata"]["labels"]["host-label.k8s.wasmcloud.dev/kubernetes"],
        "true"),
    Row("hostLabels", {"hostLabels": {"empty": ""}},
        lambda found: [one for one in found.host["env"] if one["name"] == "WASMCLOUD_LABEL_empty"],
        [{"name": "WASMCLOUD_LABEL_empty"}]),
    Row("natsAddress", {"natsAddress": "nats://h:4222"}, conf_says('urls: ["nats-leaf://h:7422"]'), True),
    Row("natsAddress", {"natsAddress": "h"},
        lambda found: found.volumes["nats-config"], {"name": "nats-config", "configMap": {"name": "pool"}}),
    Row("natsAddress", {"natsAddress": "nats://u:p@h"},
        lambda found: (found.volumes["nats-config"]["secret"], "u:p@h" in found.children.secret_conf),
        ({"secretName": "pool-nats-conf"}, True)),
    Row("natsLeafnodePort", {"natsLeafnodePort": 7000}, conf_says("svc.cluster.local:7000"), True),
    Row("natsTls.secretName", {"natsTls": {"secretName": "hub"}},
        lambda found: found.volumes["nats-tls"]["secret"]["secretName"], "hub", Facts(hub_tls=HubTls(True, True, "t"))),
    Row("natsTls.secretName", {"natsTls": {"secretName": "hub"}},
        lambda found: [name in found.nats_conf for name in ("ca_file", "cert_file", "key_file")],
        [True, False, False], Facts(hub_tls=HubTls(True, False, "t"))),
    Row("jetstreamDomain", {"jetstreamDomain": "hub"}, env("JS_DOMAIN"), "hub"),
    Row("jetstreamDomain", {}, env("JS_DOMAIN"), "default"),
    Row("leafNodeDomain", {"leafNodeDomain": "edge"}, conf_says('domain: "edge"'), True),
    Row("leafNodeDomain", {}, conf_says('domain: "leaf"'), True),
    Row("leafService.enabled", {"leafService": {"enabled": False}}, conf_says('listen: "127.0.0.1:4222"'), True),
    Row("leafService.enabled", {"leafService": {"enabled": False}}, lambda found: "Service" in found.kinds, False),
    Row("leafService.enabled", {}, lambda found: found.child("Service")["spec"]["ports"][0]["port"], 4222),
    Row("registryCredentialsSecret", {"registryCredentialsSecret": "pull"},
        lambda found: found.pod["imagePullSecrets"], [{"name": "pull"}]),
    Row("registryCredentialsSecret", {"registryCredentialsSecret": "pull"},
        lambda found: [found.env[f"WASMCLOUD_OCI_REGISTRY{part}"] for part in ("", "_USER", "_PASSWORD")],
        ["ghcr.io", {"secretKeyRef": {"name": "pool-registry", "key": "username"}},
         {"secretKeyRef": {"name": "pool-registry", "key": "password"}}], ONE_REGISTRY),
    Row("configServiceEnabled", {"configServiceEnabled": True}, env("CONFIG_SERVICE"), "true"),
    Row("configServiceEnabled", {}, env("CONFIG_SERVICE"), "false"),
    Row("enableStructuredLogging", {"enableStructuredLogging": False}, env("STRUCTURED_LOGGING_ENABLED"), "false"),
    Row("enableStructuredLogging", {}, env("STRUCTURED_LOGGING_ENABLED"), "true"),
    Row("logLevel", {"logLevel": "debug"}, env("LOG_LEVEL"), "debug"),
    Row("logLevel", {}, env("LOG_LEVEL"), "INFO"),
    Row("controlTopicPrefix", {"controlTopicPrefix": "own.ctl"}, env("CTL_TOPIC_PREFIX"), "own.ctl"),
    Row("allowLatest", {"allowLatest": True}, env("OCI_ALLOW_LATEST"), "true"),
    Row("allowedInsecure", {"allowedInsecure": ["a:5000", "b"]}, env("OCI_ALLOWED_INSECURE"), "a:5000,b"),
    Row("policyService.topic", {"policyService": {"topic": "policy.ask"}}, env("POLICY_TOPIC"), "policy.ask"),
    Row("policyService.timeoutMs", {"policyService": POLICY}, env("POLICY_TIMEOUT"), "500"),
    Row("policyService.changesTopic", {"policyService": POLICY}, env("POLICY_CHANGES_TOPIC"), "policy.changed"),
    Row("secretsTopicPrefix", {"secretsTopicPrefix": "own.secrets"}, env("SECRETS_TOPIC"), "own.secrets"),
    Row("maxLinearMemoryBytes", {"maxLinearMemoryBytes": 1 << 20}, env("MAX_LINEAR_MEMORY"), "1048576"),
    Row("observability.enable", observability(enable=True), args, ["--enable-observability"]),
    Row("observability.enable", observability(enable=True, logs={"enable": False}), args, ["--enable-observability"]),
    Row("observability.endpoint", observability(enable=True, endpoint="http://o:4318"), args,
        ["--enable-observability", "--override-observability-endpoint=http://o:4318"]),
    Row("observability.endpoint", observability(endpoint="http://o:4318"), args, []),
    Row("observability.endpoint", observability(enable=True, endpoint="", logs={"endpoint": ""}), args,
        ["--enable-observability"]),
    Row("observability.endpoint", observability(enable=True, endpoint="http://o/$(HOME)"), args,
        ["--enable-observability", "--override-observability-endpoint=http://o/$$(HOME)"]),
    Row("observability.protocol", observability(enable=True, protocol="grpc"), args,
        ["--enable-observability", "--observability-protocol=grpc"]),
    Row("certificates.authorities[].name", authority(SECRET_CA), args,
        ["--tls-ca-path=/wasmcloud/certificates/roots/a.crt", "--tls-ca-path=/wasmcloud/certificates/roots/b.crt"],
        AUTHORITY),
    Row("certificates.authorities[].name", authority(MAP_CA),
        lambda found: found.host["volumeMounts"][-1],
        {"name": "roots", "mountPath": "/wasmcloud/certificates/roots", "readOnly": True}, AUTHORITY),
    Row("probes.enabled", {"probes": {"enabled": False}},
        lambda found: ("readinessProbe" in found.host, "WASMCLOUD_HTTP_ADMIN" in found.env), (False, False)),
    Row("probes.enabled", {"version": "1.2.0", "probes": {"enabled": True}},
        lambda found: [found.host[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")],
        ["/readyz", "/readyz", "/livez"]),
    Row("probes.port", {"probes": {"port": 9999}}, env("HTTP_ADMIN"), "$(POD_IP):9999"),
    Row("probes.port", {"probes": {"port": 9999}},
        lambda found: found.host["livenessProbe"]["httpGet"]["port"], 9999),
    Row("daemonset", {"daemonset": True}, lambda found: found.workload["kind"], "DaemonSet"),
    Row("schedulingOptions.daemonset", scheduling(daemonset=True), lambda found: found.workload["kind"], "DaemonSet"),
    Row("schedulingOptions.podTemplateAdditions", scheduling(podTemplateAdditions={"nodeSelector": {"disk": ""}}),
        lambda found: found.pod["nodeSelector"], {"disk": ""}),
    Row("schedulingOptions.containerTemplateAdditions.nats",
        scheduling(containerTemplateAdditions={"nats": {"args": ["-DV"]}}), lambda found: found.leaf["args"], ["-DV"]),
    Row("schedulingOptions.containerTemplateAdditions.wasmcloud",
        scheduling(containerTemplateAdditions={"wasmcloud": {"env": [{"name": "WASMCLOUD_LATTICE", "value": "mine"}]}}),
        env("LATTICE"), "mine"),
    Row("schedulingOptions.rollingUpdate.maxSurge", scheduling(rollingUpdate={"maxSurge": "50%"}),
        lambda found: found.workload["spec"]["strategy"]["rollingUpdate"], {"maxSurge": "50%", "maxUnavailable": 0}),
    Row("schedulingOptions.rollingUpdate.maxSurge", scheduling(rollingUpdate={"maxSurge": 0}),
        lambda found: found.workload["spec"]["strategy"]["rollingUpdate"], {"maxSurge": 0, "maxUnavailable": 1}),
    Row("schedulingOptions.rollingUpdate.maxUnavailable", scheduling(rollingUpdate={"maxUnavailable": 2}),
        lambda found: found.workload["spec"]["strategy"]["rollingUpdate"], {"maxSurge": 1, "maxUnavailable": 2}),
    Row("schedulingOptions.rollingUpdate.maxUnavailable",
        scheduling(daemonset=True, rollingUpdate={"maxUnavailable": 2}),
        lambda found: found.workload["spec"]["updateStrategy"]["rollingUpdate"], {"maxSurge": 0, "maxUnavailable": 2}),
    Row("podDisruptionBudget.enabled", {"hostReplicas": 2, "podDisruptionBudget": {"enabled": False}},
        lambda found: found.child("PodDisruptionBudget"), None),
    Row("podDisruptionBudget.enabled", {"podDisruptionBudget": {"enabled": True}},
        lambda found: found.child("PodDisruptionBudget")["spec"]["maxUnavailable"], 1),
    Row("podDisruptionBudget.minAvailable", {"podDisruptionBudget": {"minAvailable": "50%"}},
        lambda found: found.child("PodDisruptionBudget")["spec"]["minAvailable"], "50%"),
    Row("podDisruptionBudget.maxUnavailable", {"podDisruptionBudget": {"maxUnavailable": 0}},
        lambda found: found.child("PodDisruptionBudget")["spec"]["maxUnavailable"], 0),
    Row("podDisruptionBudget.maxUnavailable", {"podDisruptionBudget": {}},
        lambda found: found.child("PodDisruptionBudget")["spec"]["maxUnavailable"], 1),
    Row("rollout.waitForLattice", {"rollout": {"waitForLattice": False}},
        lambda found: found.pod.get("readinessGates"), [{"conditionType": "k8s.wasmcloud.dev/serving"}]),
    Row("rollout.waitForApplications", {"rollout": {"waitForLattice": False, "waitForApplications": False}},
        lambda found: found.pod.get("readinessGates"), None),
    Row("podMetadata.labels", {"podMetadata": {"labels": {"team": "a"}}},
        lambda found: found.template["metadata"]["labels"]["team"], "a"),
    Row("podMetadata.annotations", {"podMetadata": {"annotations": {"a/b": "c"}}},
        lambda found: found.template["metadata"]["annotations"]["a/b"], "c"),
    Row("serviceAccount.name", {"serviceAccount": {"name": "mine"}},
        lambda found: found.pod["serviceAccountName"], "mine"),
    Row("serviceAccount.annotations", {"serviceAccount": {"annotations": {"a": "b"}}},
        lambda found: found.child("ServiceAccount")["metadata"]["annotations"], {"a": "b"}),
    *SOURCE_ROWS,
    *TELEMETRY_ROWS,
    *RESOURCE_ROWS,
]  # fmt: skip

# Fields that show in what the operator itself does, not in an object.
ELSEWHERE = {"natsClientPort", "rollout.timeoutSeconds"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.path)
def test_the_field_takes_effect(row):
    assert row.look(rendered(row.spec, row.facts)) == row.expected


def test_the_client_port_is_the_operators_own():
    assert client_urls(config({"natsAddress": "a,tls://b:5000", "natsClientPort": 4000}).spec) == (
        "nats://a:4000", "tls://b:5000",
    )  # fmt: skip


def test_no_field_is_without_a_row_that_sets_it():
    assert {row.path for row in ROWS if sets(row.spec, row.path)} | ELSEWHERE == set(
        leaves(WasmCloudHostConfigSpec, "")
    )


def sets(spec: Any, path: str) -> bool:
    first, _, rest = path.partition(".")
    name = first.removesuffix("[]")
    if name not in spec:
        return False
    inner = spec[name][0] if first.endswith("[]") else spec[name]
    return sets(inner, rest) if rest else True


def leaves(model: type[BaseModel], path: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        at = f"{path}{field.alias or name}"
        inner, many = inner_model(field.annotation)
        if inner is None:
            yield at
        else:
            yield from leaves(inner, f"{at}{'[]' if many else ''}.")


def inner_model(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    many = getattr(annotation, "__origin__", None) is tuple
    for argument in get_args(annotation):
        inner, inside = inner_model(argument)
        if inner is not None:
            return inner, many or inside
    return None, False
