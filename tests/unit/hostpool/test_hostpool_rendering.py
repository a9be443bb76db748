"""What is rendered from a host config as a whole: the sample, what rolls the pods, what the platform allows."""

from __future__ import annotations

import json

import pytest

from support.objects.hostpools import (
    AUTHORITY,
    ONE_REGISTRY,
    SAMPLE,
    SECRET_CA,
    authority,
    config,
    rendered,
    scheduling,
)
from wasmcloud_operator.hostpool.inputs import Authority, ChecksumKey, Facts, HubTls, references
from wasmcloud_operator.hostpool.platform import Platform, platform_of
from wasmcloud_operator.hostpool.problems import SpecError
from wasmcloud_operator.hostpool.render_workload import leaf_warnings, render
from wasmcloud_operator.kube.access import ServerVersion
from wasmcloud_operator_types import InvalidObjectError, dump


class TestSample:
    """The sample that every user starts from."""

    found = rendered(SAMPLE, name="my-wasmcloud-cluster", namespace="default")

    def test_it_comes_out_as_promised(self):
        found = self.found
        assert found.kinds == ["ServiceAccount", "ConfigMap", "Deployment", "Service", "PodDisruptionBudget"]
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

    def test_whoever_they_run_as_can_write_where_they_must_and_listen_below_1024(self):
        security = self.found.pod["securityContext"]
        assert security["runAsUser"] == security["runAsGroup"] == security["fsGroup"] > 0
        assert security["sysctls"] == [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]
        assert self.found.leaf["securityContext"]["readOnlyRootFilesystem"] is True
        assert {"name": "nats-data", "mountPath": "/data"} in self.found.leaf["volumeMounts"]
        assert {"name": "tmp", "mountPath": "/tmp"} in self.found.host["volumeMounts"]
        assert self.found.volumes["tmp"] == {"name": "tmp", "emptyDir": {}}

    def test_the_store_of_the_leaf_is_bounded_by_the_server_before_the_pod_is_evicted(self):
        assert "max_file_store: 1073741824" in self.found.nats_conf
        assert self.found.volumes["nats-data"]["emptyDir"] == {"sizeLimit": "1280Mi"}
        own = rendered(scheduling(podTemplateAdditions={"volumes": [{"name": "nats-data", "emptyDir": {}}]}))
        assert own.volumes["nats-data"] == {"name": "nats-data", "emptyDir": {}}
        assert "max_file_store" not in own.nats_conf

    def test_the_pods_have_an_account_of_their_own_without_a_token(self):
        assert self.found.pod["serviceAccountName"] == "my-wasmcloud-cluster"
        assert self.found.child("ServiceAccount")["automountServiceAccountToken"] is False

    def test_the_host_talks_to_its_own_leaf(self):
        env = self.found.env
        assert (env["WASMCLOUD_NATS_HOST"], env["WASMCLOUD_NATS_PORT"]) == ("127.0.0.1", "4222")
        assert env["WASMCLOUD_RPC_TIMEOUT_MS"] == "4000"
        assert self.found.leaf["args"] == ["-js", "--config", "/nats/nats.conf"]

    def test_the_host_is_started_by_its_name_since_official_images_have_no_entrypoint(self):
        assert self.found.host["command"] == ["wasmcloud"]
        assert rendered({"image": "r.example/own:1"}).host["command"] == ["wasmcloud"]
        assert "command" not in self.found.leaf  # NATS images have one, and it differs from variant to variant

    def test_the_service_is_labelled_as_it_has_always_been(self):
        assert self.found.child("Service")["metadata"]["labels"]["wasmcloud.dev/route-to"] == "true"

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


def test_one_registry_goes_by_the_config_service_alone_where_hosts_ask_it():
    spec = {"registryCredentialsSecret": "pull", "configServiceEnabled": True}
    found = rendered(spec, ONE_REGISTRY)
    assert found.env["WASMCLOUD_CONFIG_SERVICE"] == "true"
    assert not [name for name in found.env if name.startswith("WASMCLOUD_OCI_REGISTRY")]
    assert found.template == rendered(spec, Facts(registries=("ghcr.io",), registry_digest="r2")).template


def test_new_hub_credentials_roll_nothing():
    before, after = (rendered({"secretName": "keys"}, Facts(credentials=True)) for _ in range(2))
    assert before.template == after.template
    (mount,) = (one for one in before.leaf["volumeMounts"] if one["name"] == "nats-creds")
    assert "subPath" not in mount  # or the kubelet would leave the old file in place


USERINFO = {"natsAddress": "nats://user:password@hub"}
CLIENT_CERTIFICATE = Facts(hub_tls=HubTls(True, True, "t"))


@pytest.mark.parametrize(
    ("spec", "facts", "is_open"),
    [
        ({}, Facts(), True),
        ({"natsTls": {"secretName": "hub"}}, Facts(hub_tls=HubTls(True, False, "t")), True),
        ({"secretName": "keys"}, Facts(credentials=True), False),
        (USERINFO, Facts(), False),
        ({"natsTls": {"secretName": "hub"}}, CLIENT_CERTIFICATE, False),
        ({**USERINFO, "leafService": {"enabled": True}}, Facts(), True),
        ({**USERINFO, "leafService": {"enabled": None}}, Facts(), False),
        ({"leafService": {"enabled": False}}, Facts(), False),
        (USERINFO, Facts(leaf_service_kept=True), True),
        ({**USERINFO, "leafService": {"enabled": False}}, Facts(leaf_service_kept=True), False),
    ],
)
def test_others_reach_a_leaf_with_hub_credentials_only_where_that_is_asked_for(spec, facts, is_open):
    found = rendered(spec, facts)
    conf = found.children.secret_conf or found.nats_conf
    assert ('listen: "0.0.0.0:4222"' in conf, found.child("Service") is not None) == (is_open, is_open)
    assert found.children.leaf_address == ("pool.team.svc:4222" if is_open else "loopback")


def test_a_service_that_was_there_before_is_marked_and_warned_of():
    kept = Facts(leaf_service_kept=True)
    service = rendered(USERINFO, kept).child("Service")
    assert service["metadata"]["annotations"] == {"k8s.wasmcloud.dev/adopted": "true"}
    assert [one.reason for one in leaf_warnings(config(USERINFO).spec, kept)] == ["LeafServiceOpen"]
    assert list(leaf_warnings(config({}).spec, kept)) == []
    assert list(leaf_warnings(config({**USERINFO, "leafService": {"enabled": True}}).spec, kept)) == []


def test_a_service_of_the_namespace_does_not_become_a_hosts_setting():
    assert rendered({}).pod["enableServiceLinks"] is False


def test_a_digest_of_a_password_cannot_be_found_by_whoever_guesses_the_password():
    keys = ChecksumKey("c4nary"), ChecksumKey("other")
    one, other = (rendered(USERINFO, Facts(checksum_key=key)).checksums["nats-conf"] for key in keys)
    assert one != other
    assert "c4nary" not in repr(Facts(checksum_key=keys[0]))
    assert rendered({}, Facts(checksum_key=keys[0])).checksums == rendered({}, Facts(checksum_key=keys[1])).checksums


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
    found = rendered(spec, Facts(credentials=True, hub_tls=HubTls(True, True, "t")))
    for name in found.volumes:
        with pytest.raises(InvalidObjectError, match="volumes of the operator's own"):
            config(authority({**SECRET_CA, "name": name}))


@pytest.mark.parametrize("size", [1024, 8 << 20, 64 << 20])
def test_the_leaf_takes_messages_as_large_as_the_hub_does(size):
    found = rendered({}, Facts(max_payload=size))
    assert f"max_payload: {size}\n" in found.nats_conf
    assert found.child("ConfigMap")["metadata"]["annotations"] == {"k8s.wasmcloud.dev/max-payload": str(size)}
    assert found.checksums != rendered({}).checksums


def test_a_hub_of_natss_own_limit_changes_nothing():
    assert rendered({}, Facts(max_payload=1 << 20)).children == rendered({}).children
    assert "max_payload" not in rendered({}).nats_conf


def test_a_leaf_takes_no_more_than_its_server_starts_with():
    assert f"max_payload: {64 << 20}\n" in rendered({}, Facts(max_payload=1 << 30)).nats_conf


@pytest.mark.parametrize("daemonset", [False, True])
def test_a_new_host_has_time_to_start_its_providers_before_an_old_one_goes(daemonset):
    assert rendered({"daemonset": daemonset}).workload["spec"]["minReadySeconds"] == 10


def test_a_host_that_never_becomes_ready_does_not_hold_up_a_drain():
    budget = rendered({"podDisruptionBudget": {}}).child("PodDisruptionBudget")
    assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_the_pod_name_is_a_host_label():
    assert rendered({}).env["WASMCLOUD_LABEL_kubernetes_pod_name"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert rendered({}).env["WASMCLOUD_LABEL_kubernetes_pod_uid"] == {"fieldRef": {"fieldPath": "metadata.uid"}}


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
    ],
)  # fmt: skip
def test_two_of_one_name_are_refused_where_the_second_stands(spec, facts, path):
    with pytest.raises(SpecError) as raised:
        rendered(spec, facts)
    (problem,) = raised.value.problems
    assert (problem.reason, problem.path) == (
        "DuplicateName", f".spec.schedulingOptions.podTemplateAdditions.{path}",
    )  # fmt: skip


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


def test_on_openshift_the_pods_get_the_namespaces_own_user():
    found = rendered({}, Facts(platform=Platform(openshift=True)))
    assert not found.pod["securityContext"].keys() & {"runAsUser", "runAsGroup", "fsGroup"}
    assert found.pod["securityContext"]["runAsNonRoot"] is True


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
        ("0.0.0.0:9100", "main", 9100),
        ("127.0.0.1:9100", "1.6.0", None),
        ("$(WHERE)", "1.6.0", None),
    ],
)
def test_probes_go_where_the_users_own_variable_opens_the_endpoint(value, version, port):
    env = [{"name": "WASMCLOUD_HTTP_ADMIN", "value": value}]
    spec = {"version": version, **scheduling(containerTemplateAdditions={"wasmcloud": {"env": env}})}
    found = rendered({**spec, "image": "r.example/w:main"})
    assert found.env["WASMCLOUD_HTTP_ADMIN"] == value
    assert found.host.get("livenessProbe", {}).get("httpGet", {}).get("port") == port


def test_the_leafs_service_says_its_protocol():
    (port,) = rendered({}).child("Service")["spec"]["ports"]
    assert port["appProtocol"] == "tcp"


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


def test_the_last_words_of_a_container_are_kept_for_the_status():
    pod = rendered({}).pod
    policies = {each["terminationMessagePolicy"] for each in (*pod["containers"], *pod["initContainers"])}
    assert policies == {"FallbackToLogsOnError"}
