"""What `migrate` says of a pod and of a config that the Rust operator left: without a cluster."""

from __future__ import annotations

import msgspec

from wasmcloud_operator.commands.migrate import pool_changes, unknown_in
from wasmcloud_operator.hostpool.platform import Platform
from wasmcloud_operator.kinds import HOST_CONFIG
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.codec import CUSTOM_RESOURCE
from wasmcloud_operator.kube.resources import DEPLOYMENT
from wasmcloud_operator.kube.testing import ScriptedApi, ScriptedTransport
from wasmcloud_operator.legacy.differences import pod_differences

LIVE = {
    "containers": [
        {
            "name": "wasmcloud-host", "image": "host:1", "args": ["--enable-observability"],
            "terminationMessagePath": "/dev/termination-log",
            "env": [{"name": "SAME", "value": "1"}, {"name": "PASSWORD", "value": "hidden"}],
            "volumeMounts": [{"name": "ca-x", "mountPath": "/wasmcloud/certificates/ca-x"}],
        },
        {"name": "nats-leaf", "image": "nats:2.10-alpine"},
    ],
    "dnsPolicy": "ClusterFirst",
}  # fmt: skip
RENDERED = {
    "containers": [
        {
            "name": "wasmcloud-host", "image": "host:1", "args": [],
            "env": [{"name": "SAME", "value": "2"}, {"name": "NEW", "value": "hidden"}],
            "volumeMounts": [{"name": "x", "mountPath": "/etc/x"}],
        },
    ],
    "initContainers": [{"name": "nats-leaf", "image": "nats:2.10-alpine"}],
    "securityContext": {"fsGroup": 65532},
}  # fmt: skip


def test_each_difference_of_a_pod_is_a_line_without_values_of_the_environment() -> None:
    assert pod_differences(LIVE, RENDERED) == [
        "nats-leaf: runs among initContainers, not among containers",
        "securityContext.fsGroup becomes 65532 (was not set)",
        "wasmcloud-host: args becomes nothing (was --enable-observability)",
        "wasmcloud-host: env: NEW is added",
        "wasmcloud-host: env: PASSWORD is removed",
        "wasmcloud-host: env: SAME changes",
        "wasmcloud-host: volumeMounts: /etc/x is added",
        "wasmcloud-host: volumeMounts: /wasmcloud/certificates/ca-x is removed",
    ]


def test_a_pod_as_it_would_be_rendered_has_no_differences() -> None:
    assert pod_differences(LIVE, LIVE) == []


def test_fields_that_the_former_crd_kept_and_nobody_reads_are_named() -> None:
    spec = {
        "lattice": "default",
        "hostLabels": {"any": "name"},
        "host_replicas": 3,
        "schedulingOptions": {
            "resources": {"wasmCloudHost": {"limits": {"cpu": "1"}}, "nats": {"limits": {"cpu": "1"}}},
            "podTemplateAdditions": {"nodeName": "n", "spec": {"nodeName": "n"}, "tolerations": [{"keys": "x"}]},
        },
    }
    assert unknown_in(spec) == [
        ".spec.host_replicas",
        ".spec.schedulingOptions.resources.wasmCloudHost",
        ".spec.schedulingOptions.podTemplateAdditions.spec",
        ".spec.schedulingOptions.podTemplateAdditions.tolerations[0].keys",
    ]


async def test_arguments_of_a_pod_are_shown_without_their_secrets() -> None:
    metadata = {"name": "edge", "namespace": "team", "uid": "u1", "resourceVersion": "1", "generation": 1}
    spec = {"lattice": "default", "version": "1.9.0"}
    body = {"apiVersion": HOST_CONFIG.api_version, "kind": HOST_CONFIG.kind, "metadata": metadata, "spec": spec}
    host = {"name": "wasmcloud-host", "image": "host:1", "command": ["wasmcloud", "--token", "canary", "--level=debug"]}
    api = ScriptedApi()
    owned = {"name": "edge", "namespace": "team", "ownerReferences": [{"uid": "u1"}]}
    api.put(DEPLOYMENT, {"metadata": owned, "spec": {"template": {"spec": {"containers": [host]}}}})
    item = CUSTOM_RESOURCE.item(msgspec.json.encode(body))
    shown = "\n".join(await pool_changes(Reader(ScriptedTransport(api)), item, Platform()))
    assert "wasmcloud-host: command becomes wasmcloud (was wasmcloud --token" in shown
    assert ("--level=debug" in shown, "canary" in shown) == (True, False)
