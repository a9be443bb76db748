"""What is rendered from the sample that every user starts from, and what every pool has alike."""

from __future__ import annotations

import json

import pytest

from support.objects.hostpools import (
    SAMPLE,
    SECRET_CA,
    config,
    rendered,
    scheduling,
)
from wasmcloud_operator.hostpool.inputs import Facts, references
from wasmcloud_operator.hostpool.render_workload import render
from wasmcloud_operator_types import dump


class TestSample:
    """The sample that every user starts from."""

    found = rendered(SAMPLE, name="my-wasmcloud-cluster", namespace="default")

    def test_rendering_makes_the_promised_objects(self):
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

    def test_rendering_is_the_same_to_the_byte_each_time(self):
        again = render(
            config(dict(reversed(SAMPLE.items())), name="my-wasmcloud-cluster", namespace="default"), Facts()
        )
        assert json.dumps([one.body for one in again.all]) == json.dumps([one.body for one in self.found.children.all])


def test_a_service_of_the_namespace_does_not_become_a_hosts_setting():
    assert rendered({}).pod["enableServiceLinks"] is False


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


def test_only_what_the_spec_refers_to_is_read():
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
