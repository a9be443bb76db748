"""Every field of a host config takes effect: one row a field, and no field without a row."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from hostpools import SAMPLE, Rendered, config, rendered
from wasmcloud_operator.hostconfig.addresses import client_urls
from wasmcloud_operator.hostconfig.children import render
from wasmcloud_operator.hostconfig.facts import Authority, Facts, HubTls, references
from wasmcloud_operator.hostconfig.platform import Platform, platform_of
from wasmcloud_operator.hostconfig.problems import SpecError
from wasmcloud_operator.kube.access import ServerVersion
from wasmcloud_operator_types import InvalidObjectError, WasmCloudHostConfigSpec, dump

NOTHING = Facts()
ONE_REGISTRY = Facts(registries=("ghcr.io",), registry_digest="r1")
AUTHORITY = Facts(authorities=(Authority("roots", ("a.crt", "b.crt"), "c1"),))
POLICY = {"topic": "policy.ask", "timeoutMs": 500, "changesTopic": "policy.changed"}
SECRET_CA = {"name": "roots", "secret": {"secretName": "ca"}}
MAP_CA = {"name": "roots", "configMap": {"name": "ca"}}
HOST_SECRET = {"secretName": "keys", "issuers": ["CA", "CB"], "version": "0.82.0"}


def authority(source: dict[str, Any]) -> dict[str, Any]:
    return {"certificates": {"authorities": [source]}}


def scheduling(**fields: Any) -> dict[str, Any]:
    return {"schedulingOptions": fields}


def observability(**fields: Any) -> dict[str, Any]:
    return {"observability": fields}


def volume_of(source: dict[str, Any]) -> Any:
    return next(iter(source.values()))


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
        ("requests", {"cpu": "100m"}),
    )
    for row in (
        Row(f"schedulingOptions.resources.{part}.{name}", scheduling(resources={part: {name: value}}),
            lambda found, container=container: getattr(found, container)["resources"], {name: value}),
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
    Row("version", {"version": "1.4.2"}, lambda found: "readinessProbe" in found.host, False),
    Row("image", {"image": "r.example/w:1"}, lambda found: found.host["image"], "r.example/w:1"),
    Row("natsLeafImage", {"natsLeafImage": "r.example/n:1"}, lambda found: found.leaf["image"], "r.example/n:1"),
    Row("natsLeafImage", {}, lambda found: found.leaf["image"], "nats:2.10-alpine"),
    Row("issuers", HOST_SECRET, env("CLUSTER_ISSUERS"), "CA,CB"),
    Row("issuers", {**HOST_SECRET, "version": "1.0.2"}, env("CLUSTER_ISSUERS"), None),
    Row("secretName", HOST_SECRET, env("CLUSTER_SEED"),
        {"secretKeyRef": {"name": "keys", "key": "WASMCLOUD_CLUSTER_SEED"}}),
    Row("secretName", {"secretName": "keys"}, lambda found: found.volumes["nats-creds"]["secret"]["secretName"],
        "keys", Facts(credentials_digest="d")),
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
    Row("logLevel", {"logLevel": "debug,async_nats=warn"}, env("LOG_LEVEL"), "debug,async_nats=warn"),
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
    Row("observability.enable", observability(enable=True, logs={"enable": False}), args,
        ["--enable-traces=true", "--enable-metrics=true"]),
    Row("observability.endpoint", observability(enable=True, endpoint="http://o:4318"), args,
        ["--enable-observability", "--override-observability-endpoint=http://o:4318"]),
    Row("observability.endpoint", observability(endpoint="http://o:4318"), args, []),
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
    Row("podDisruptionBudget.minAvailable", {"podDisruptionBudget": {"minAvailable": "50%"}},
        lambda found: found.child("PodDisruptionBudget")["spec"]["minAvailable"], "50%"),
    Row("podDisruptionBudget.maxUnavailable", {"podDisruptionBudget": {"maxUnavailable": 0}},
        lambda found: found.child("PodDisruptionBudget")["spec"]["maxUnavailable"], 0),
    Row("podDisruptionBudget.maxUnavailable", {"podDisruptionBudget": {}},
        lambda found: found.child("PodDisruptionBudget")["spec"]["maxUnavailable"], 1),
    *SOURCE_ROWS,
    *TELEMETRY_ROWS,
    *RESOURCE_ROWS,
]  # fmt: skip

# Fields that show in the operator's own connection, not in an object.
ELSEWHERE = {"natsClientPort"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.path)
def test_the_field_takes_effect(row):
    assert row.look(rendered(row.spec, row.facts)) == row.expected


def test_the_client_port_is_the_operators_own():
    assert client_urls(config({"natsAddress": "a,tls://b:5000", "natsClientPort": 4000}).spec) == (
        "nats://a:4000", "tls://b:5000",
    )  # fmt: skip


def test_no_field_is_without_a_row():
    assert {row.path for row in ROWS} | ELSEWHERE == set(leaves(WasmCloudHostConfigSpec, ""))


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


class TestSample:
    """The sample that every user starts from."""

    found = rendered(SAMPLE, name="my-wasmcloud-cluster", namespace="default")

    def test_it_comes_out_as_promised(self):
        found = self.found
        assert found.kinds == ["ServiceAccount", "ConfigMap", "Deployment", "Service"]
        assert found.workload["spec"]["replicas"] == 2
        assert [one["name"] for one in found.pod["initContainers"] + found.pod["containers"]] == [
            "nats-leaf", "wasmcloud-host",
        ]  # fmt: skip
        assert found.host["image"] == "ghcr.io/wasmcloud/wasmcloud:1.0.2"
        assert 'urls: ["nats-leaf://nats-cluster.default.svc.cluster.local:7422"]' in found.nats_conf
        assert found.env["WASMCLOUD_LATTICE"] == SAMPLE["lattice"]
        assert found.env["WASMCLOUD_LABEL_some-label"] == "value"
        assert found.template["metadata"]["labels"]["host-label.k8s.wasmcloud.dev/some-label"] == "value"

    def test_the_selector_is_the_one_of_old_and_matches_the_pods(self):
        selector = self.found.workload["spec"]["selector"]["matchLabels"]
        assert selector == {
            "app.kubernetes.io/name": "wasmcloud",
            "app.kubernetes.io/instance": "my-wasmcloud-cluster",
        }
        assert selector.items() <= self.found.template["metadata"]["labels"].items()
        assert self.found.child("Service")["spec"]["selector"] == selector

    def test_every_child_belongs_to_the_config(self):
        for child in self.found.children.all:
            metadata = child.body["metadata"]
            (owner,) = metadata["ownerReferences"]
            assert owner["kind"] == "WasmCloudHostConfig"
            assert owner["controller"] is True
            assert metadata["labels"]["app.kubernetes.io/managed-by"] == "wasmcloud-operator"
            assert (metadata["name"], metadata["namespace"]) == ("my-wasmcloud-cluster", "default")

    def test_the_pods_are_restricted(self):
        found = self.found
        assert found.pod["automountServiceAccountToken"] is False
        assert found.pod["securityContext"]["runAsNonRoot"] is True
        assert found.pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in (found.leaf, found.host):
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}

    def test_the_leaf_is_a_native_sidecar_with_probes(self):
        assert self.found.leaf["restartPolicy"] == "Always"
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert self.found.leaf[probe]["httpGet"] == {"path": "/healthz?js-server-only=true", "port": 8222}

    def test_it_is_the_same_to_the_byte_each_time(self):
        again = render(
            config(dict(reversed(SAMPLE.items())), name="my-wasmcloud-cluster", namespace="default"), Facts()
        )
        assert json.dumps([one.body for one in again.all]) == json.dumps([one.body for one in self.found.children.all])


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("nats-creds", Facts(credentials_digest="a"), Facts(credentials_digest="b")),
        ("cluster-seed", Facts(seed_digest="a"), Facts(seed_digest="b")),
        ("nats-tls", Facts(hub_tls=HubTls(True, True, "a")), Facts(hub_tls=HubTls(True, True, "b"))),
        ("registry", ONE_REGISTRY, Facts(registries=("ghcr.io",), registry_digest="r2")),
        ("authorities", AUTHORITY, Facts(authorities=(Authority("roots", ("a.crt", "b.crt"), "c2"),))),
    ],
)
def test_new_content_rolls_the_pods(name, before, after):
    spec = {"secretName": "keys", "natsTls": {"secretName": "hub"}, **authority(SECRET_CA)}
    old, new = rendered(spec, before), rendered(spec, after)
    assert {key for key in old.checksums if old.checksums[key] != new.checksums[key]} == {name}
    assert old.pod == new.pod


def test_a_changed_conf_rolls_the_pods_and_replicas_do_not():
    assert rendered({"natsAddress": "a"}).checksums != rendered({"natsAddress": "b"}).checksums
    assert rendered({"hostReplicas": 1}).template == rendered({"hostReplicas": 2}).template


def test_several_registries_go_by_the_config_service_and_roll_nothing():
    found = rendered({"registryCredentialsSecret": "pull"}, Facts(registries=("a", "b"), registry_digest="r"))
    assert found.env["WASMCLOUD_CONFIG_SERVICE"] == "true"
    assert not [name for name in found.env if name.startswith("WASMCLOUD_OCI_REGISTRY")]
    assert "registry" not in found.checksums


@pytest.mark.parametrize("address", ["nats://u:c4nary@h", "nats://c4nary@h", "a,tls://u:c4nary@h:1"])
def test_a_password_in_the_address_is_in_no_child_and_in_no_repr(address):
    found = rendered({"natsAddress": address})
    assert "c4nary" not in json.dumps([child.body for child in found.children.all])
    assert "c4nary" not in repr(found.children)
    assert "c4nary" in found.children.secret_conf
    assert found.checksums != rendered({"natsAddress": address.replace("c4", "C4")}).checksums


def test_the_names_of_the_operators_own_volumes_are_taken():
    spec = {"secretName": "keys", "natsTls": {"secretName": "hub"}}
    found = rendered(spec, Facts(credentials_digest="c", hub_tls=HubTls(True, True, "t")))
    for name in found.volumes:
        with pytest.raises(InvalidObjectError, match="volumes of the operator's own"):
            config(authority({**SECRET_CA, "name": name}))


def test_the_pod_name_is_a_host_label():
    assert rendered({}).env["WASMCLOUD_LABEL_kubernetes_pod_name"] == {"fieldRef": {"fieldPath": "metadata.name"}}


def test_the_pod_ip_is_defined_before_it_is_used():
    names = [entry["name"] for entry in rendered({}).host["env"]]
    assert names.index("POD_IP") < names.index("WASMCLOUD_HTTP_ADMIN")


@pytest.mark.parametrize(("ipv6", "expected"), [(False, "$(POD_IP):9090"), (True, "[$(POD_IP)]:9090")])
def test_the_admin_endpoint_is_on_the_pods_own_address_in_either_family(ipv6, expected):
    assert rendered({}, Facts(platform=Platform(ipv6=ipv6))).env["WASMCLOUD_HTTP_ADMIN"] == expected


@pytest.mark.parametrize(
    ("family", "api_service", "ipv6"),
    [
        ("auto", "10.96.0.1", False), ("auto", "fd00:10:96::1", True), ("auto", "", False),
        ("auto", "api.example", False), ("ipv6", "10.96.0.1", True), ("ipv4", "fd00:10:96::1", False),
    ],
)  # fmt: skip
def test_the_pods_family_is_that_of_the_apis_service_unless_set(family, api_service, ipv6):
    assert platform_of(ServerVersion(1, 33, ""), family, api_service).ipv6 is ipv6


@pytest.mark.parametrize(("minor", "known"), [(29, False), (30, True)])
def test_the_sleep_action_is_known_from_1_30_on(minor, known):
    assert platform_of(ServerVersion(1, minor, ""), "auto", "").sleep_action is known


@pytest.mark.parametrize(("known", "expected"), [(True, {"preStop": {"sleep": {"seconds": 5}}}), (False, None)])
def test_before_1_30_there_is_no_sleep_action(known, expected):
    assert rendered({}, Facts(platform=Platform(sleep_action=known))).host.get("lifecycle") == expected


def test_the_sleep_fits_into_the_users_grace_period():
    found = rendered(scheduling(podTemplateAdditions={"terminationGracePeriodSeconds": 5}))
    assert "lifecycle" not in found.host
    assert found.pod["terminationGracePeriodSeconds"] == 5


def test_on_the_nodes_network_no_network_setting_is_asked_for():
    found = rendered(scheduling(podTemplateAdditions={"hostNetwork": True}))
    assert "sysctls" not in found.pod["securityContext"]


@pytest.mark.parametrize(
    "additions",
    [{"podTemplateAdditions": {"hostNetwork": True}},
     {"containerTemplateAdditions": {"wasmcloud": {"ports": [{"containerPort": 80, "hostPort": 80}]}}}],
)  # fmt: skip
def test_a_daemonset_with_ports_of_the_node_replaces_pods_in_place(additions):
    found = rendered(scheduling(daemonset=True, **additions))
    assert found.workload["spec"]["updateStrategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


@pytest.mark.parametrize("field", ["containers", "initContainers"])
@pytest.mark.parametrize("name", ["nats-leaf", "wasmcloud-host"])
def test_the_two_containers_cannot_be_replaced(field, name):
    additions = {field: [{"name": "mine", "image": "i"}, {"name": name, "image": "i"}]}
    with pytest.raises(SpecError) as raised:
        rendered(scheduling(podTemplateAdditions=additions))
    (problem,) = raised.value.problems
    assert problem.path == f".spec.schedulingOptions.podTemplateAdditions.{field}[1]"


def test_references_are_all_that_is_read():
    spec = {
        "secretName": "keys", "registryCredentialsSecret": "pull", "natsTls": {"secretName": "hub"},
        "certificates": {"authorities": [SECRET_CA, {"name": "more", "configMap": {"name": "map"}}]},
    }  # fmt: skip
    found = references(config(spec).spec)
    assert found.secrets == {"keys", "pull", "hub", "ca"}
    assert found.config_maps == {"map"}


def test_a_spec_round_trips():
    spec = {"lattice": "a", "version": "1", "schedulingOptions": {"podTemplateAdditions": {"hostNetwork": False}}}
    assert dump(config(spec).spec) == spec
