"""What users add to the pods: containers, volumes, labels, an account, a variable; and what they cannot take away."""

from __future__ import annotations

import pytest

from support.objects.hostpools import (
    AUTHORITY,
    SECRET_CA,
    authority,
    config,
    rendered,
    scheduling,
)
from wasmcloud_operator.hostpool.inputs import Facts, HubTls
from wasmcloud_operator.shared.problem import SpecError
from wasmcloud_operator_types import InvalidObjectError


def test_the_names_of_the_operators_own_volumes_are_taken():
    spec = {"secretName": "keys", "natsTls": {"secretName": "hub"}}
    found = rendered(spec, Facts(credentials=True, hub_tls=HubTls(True, True, "t")))
    for name in found.volumes:
        with pytest.raises(InvalidObjectError, match="volumes of the operator's own"):
            config(authority({**SECRET_CA, "name": name}))


@pytest.mark.parametrize(("grace", "sleep"), [(0, None), (2, None), (3, 1), (15, 5), (30, 10), (300, 10)])
def test_the_sleep_takes_a_third_of_the_users_grace_period_and_ten_seconds_at_most(grace, sleep):
    found = rendered(scheduling(podTemplateAdditions={"terminationGracePeriodSeconds": grace}))
    assert found.host.get("lifecycle") == (sleep and {"preStop": {"sleep": {"seconds": sleep}}})
    assert found.pod["terminationGracePeriodSeconds"] == grace


@pytest.mark.parametrize("field", ["containers", "initContainers"])
@pytest.mark.parametrize("name", ["nats-leaf", "wasmcloud-host"])
def test_the_two_containers_cannot_be_replaced(field, name):
    additions = {field: [{"name": "mine", "image": "i"}, {"name": name, "image": "i"}]}
    with pytest.raises(SpecError) as raised:
        rendered(scheduling(podTemplateAdditions=additions))
    (problem,) = raised.value.problems
    assert problem.path == f".spec.schedulingOptions.podTemplateAdditions.{field}[1]"


def containers(*names):
    return [{"name": name, "image": "i"} if name != "nats-leaf" else {"name": name} for name in names]


@pytest.mark.parametrize(
    ("written", "order"),
    [
        (("first", "second"), ["first", "second", "nats-leaf"]),
        (("first", "nats-leaf", "second"), ["first", "nats-leaf", "second"]),
        (("nats-leaf", "second"), ["nats-leaf", "second"]),
    ],
)
def test_init_containers_come_before_the_leaf_which_its_name_alone_moves(written, order):
    found = rendered(scheduling(podTemplateAdditions={"initContainers": containers(*written)}))
    assert [one["name"] for one in found.pod["initContainers"]] == order
    assert found.leaf == rendered({}).leaf


@pytest.mark.parametrize(
    ("spec", "facts", "path"),
    [
        (scheduling(podTemplateAdditions={"volumes": [{"name": "a"}, {"name": "a"}]}), Facts(), "volumes[1]"),
        ({**scheduling(podTemplateAdditions={"volumes": [{"name": "roots"}]}), **authority(SECRET_CA)}, AUTHORITY,
         "volumes[0]"),
        (scheduling(podTemplateAdditions={"containers": containers("a", "a")}), Facts(), "containers[1]"),
        (scheduling(podTemplateAdditions={"initContainers": containers("nats-leaf", "nats-leaf")}), Facts(),
         "initContainers[1]"),
        (scheduling(podTemplateAdditions={"hostAliases": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}, {"ip": "10.0.0.1"}]}),
         Facts(), "hostAliases[2]"),
        (scheduling(podTemplateAdditions={"containers": [{"name": "a", "ports": [
            {"name": "x", "containerPort": 80}, {"name": "y", "containerPort": 80, "protocol": "TCP"}]}]}),
         Facts(), "containers[0].ports[1]"),
    ],
)  # fmt: skip
def test_two_of_one_name_are_refused_where_the_second_stands(spec, facts, path):
    with pytest.raises(SpecError) as raised:
        rendered(spec, facts)
    (problem,) = raised.value.problems
    assert (problem.reason, problem.path) == (
        "DuplicateName", f".spec.schedulingOptions.podTemplateAdditions.{path}",
    )  # fmt: skip


@pytest.mark.parametrize("which", ["nats", "wasmcloud"])
def test_two_ports_of_one_number_in_a_container_are_refused_where_the_second_stands(which):
    ports = [{"name": "a", "containerPort": 80}, {"name": "b", "containerPort": 80}]
    with pytest.raises(SpecError, match=rf"containerTemplateAdditions.{which}.ports\[1\]"):
        rendered(scheduling(containerTemplateAdditions={which: {"ports": ports}}))


@pytest.mark.parametrize("which", ["nats", "wasmcloud"])
def test_of_two_variables_of_one_name_the_last_counts_as_for_the_kubelet(which):
    env = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    found = rendered(
        scheduling(
            containerTemplateAdditions={which: {"env": env}},
            podTemplateAdditions={"containers": [{"name": "side", "image": "i", "env": env}]},
        )
    )
    for container in (found.leaf if which == "nats" else found.host, found.pod["containers"][1]):
        assert [entry for entry in container["env"] if entry["name"] == "A"] == [env[1]]


@pytest.mark.parametrize(
    ("additions", "account"),
    [
        ({"serviceAccount": "mine"}, "mine"),
        ({"serviceAccount": "mine", "serviceAccountName": "other"}, "other"),
        ({"serviceAccount": "mine", "serviceAccountName": None}, "mine"),
        ({"serviceAccount": None}, "pool"),
    ],
)
def test_the_accounts_deprecated_name_is_taken_for_its_name(additions, account):
    found = rendered(scheduling(podTemplateAdditions=additions))
    assert found.pod["serviceAccountName"] == account
    assert "serviceAccount" not in found.pod


@pytest.mark.parametrize(
    ("security", "kept"),
    [
        ({"privileged": True}, False),
        ({"capabilities": {"add": ["CAP_SYS_ADMIN"]}}, False),
        ({"privileged": False, "capabilities": {"add": ["NET_BIND_SERVICE"]}}, True),
    ],
)
def test_nothing_is_said_of_escalation_where_the_container_escalates_in_any_case(security, kept):
    found = rendered(scheduling(containerTemplateAdditions={"wasmcloud": {"securityContext": security}}))
    assert ("allowPrivilegeEscalation" in found.host["securityContext"]) is kept


def test_who_asks_for_root_in_the_pod_gets_it():
    found = rendered(scheduling(podTemplateAdditions={"securityContext": {"runAsUser": 0, "runAsNonRoot": None}}))
    assert "runAsNonRoot" not in found.pod["securityContext"]
    found = rendered(scheduling(podTemplateAdditions={"securityContext": {"runAsUser": 0, "runAsNonRoot": True}}))
    assert found.pod["securityContext"]["runAsNonRoot"] is True


def test_who_asks_for_root_in_a_container_gets_it_there():
    security = {"securityContext": {"runAsUser": 0}}
    found = rendered(
        scheduling(
            containerTemplateAdditions={"wasmcloud": security},
            podTemplateAdditions={"initContainers": [{"name": "first", "image": "i", **security}]},
        )
    )
    assert found.pod["securityContext"]["runAsNonRoot"] is True
    for container in (found.host, found.pod["initContainers"][0]):
        assert container["securityContext"]["runAsNonRoot"] is False
    assert "runAsNonRoot" not in found.leaf["securityContext"]


def test_null_takes_out_what_would_be_generated():
    security = {"runAsUser": None, "runAsGroup": None, "fsGroup": None}
    found = rendered(scheduling(podTemplateAdditions={"securityContext": security}))
    assert not found.pod["securityContext"].keys() & security.keys()
    assert found.pod["securityContext"]["runAsNonRoot"] is True
    found = rendered(scheduling(containerTemplateAdditions={"wasmcloud": {"livenessProbe": None, "lifecycle": None}}))
    assert not found.host.keys() & {"livenessProbe", "lifecycle"}
    assert "readinessProbe" in found.host


def test_a_templates_bare_fields_take_nothing_away_that_the_pod_needs():
    bare = dict.fromkeys(("name", "image", "env", "args", "command", "volumeMounts", "ports", "restartPolicy"))
    plain = rendered({})
    found = rendered(
        scheduling(
            podTemplateAdditions={"containers": None, "initContainers": None, "volumes": None},
            containerTemplateAdditions={"nats": bare, "wasmcloud": {**bare, "readinessProbe": {"exec": None}}},
        )
    )
    assert found.template == plain.template


@pytest.mark.parametrize("daemonset", [False, True])
def test_labels_and_annotations_of_the_pods_and_their_account_are_the_users(daemonset):
    own = {"labels": {"azure.workload.identity/use": "true"}, "annotations": {"sidecar.istio.io/inject": "false"}}
    annotations = {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/x"}
    found = rendered({"daemonset": daemonset, "podMetadata": own, "serviceAccount": {"annotations": annotations}})
    metadata = found.template["metadata"]
    assert own["labels"].items() <= metadata["labels"].items()
    assert own["annotations"].items() <= metadata["annotations"].items()
    assert "azure.workload.identity/use" not in found.workload["spec"]["selector"]["matchLabels"]
    assert found.child("ServiceAccount")["metadata"]["annotations"] == annotations


def test_an_existing_account_is_used_and_none_made():
    found = rendered({"serviceAccount": {"name": "mine"}})
    assert found.pod["serviceAccountName"] == "mine"
    assert found.child("ServiceAccount") is None


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"podMetadata": {"labels": {"app.kubernetes.io/name": "x"}}}, "operator's own"),
        ({"podMetadata": {"labels": {"serves.k8s.wasmcloud.dev/x": "true"}}}, "operator's own"),
        ({"podMetadata": {"annotations": {"checksum.k8s.wasmcloud.dev/x": "a"}}}, "operator's own"),
        ({"podMetadata": {"labels": {"a": "no spaces"}}}, "usable as labels"),
        ({"serviceAccount": {"name": "a", "annotations": {"b": "c"}}}, "not both"),
        ({"probes": {"port": 4222}}, "leaf node's"),
        ({"probes": {"port": 8222}}, "leaf node's"),
        ({"leafNodeDomain": "default"}, "must differ"),
        ({"jetstreamDomain": "leaf"}, "must differ"),
        (scheduling(rollingUpdate={"maxSurge": 0, "maxUnavailable": "0%"}), "no pod could be replaced"),
        (scheduling(rollingUpdate={"maxUnavailable": "150%"}), "maxUnavailable"),
        (scheduling(resources={"wasmcloud": {"limits": {"memory": "1GB"}}}), "limits.memory"),
        (scheduling(resources={"nats": {"requests": {"cpu": -1}}}), "requests.cpu"),
    ],
)
def test_specs_that_the_api_server_would_refuse_later_are_refused_at_once(spec, said):
    with pytest.raises(InvalidObjectError, match=said):
        config(spec)


@pytest.mark.parametrize(
    ("value", "version", "port"),
    [
        ("0.0.0.0:9100", "1.6.0", 9100),
        ("[::]:9100", "1.6.0", 9100),
        ("0.0.0.0:0", "1.6.0", None),
        ("0.0.0.0:70000", "1.6.0", None),
        ("0.0.0.0:9100", "main", 9100),
        ("127.0.0.1:9100", "1.6.0", None),
        ("$(WHERE)", "1.6.0", None),
    ],
)
def test_probes_go_where_the_users_own_variable_opens_the_endpoint(value, version, port):
    env = [{"name": "WASMCLOUD_HTTP_ADMIN", "value": "0.0.0.0:1"}, {"name": "WASMCLOUD_HTTP_ADMIN", "value": value}]
    spec = {"version": version, **scheduling(containerTemplateAdditions={"wasmcloud": {"env": env}})}
    found = rendered({**spec, "image": "r.example/w:main"})
    assert found.env["WASMCLOUD_HTTP_ADMIN"] == value
    assert found.host.get("livenessProbe", {}).get("httpGet", {}).get("port") == port
