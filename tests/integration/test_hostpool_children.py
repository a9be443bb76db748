"""The children of host pools on a real control plane: what a config becomes, and what brings it back."""

from __future__ import annotations

import asyncio
import json

import pytest

from support.kube.live import setting_back
from support.objects.hostpools import SAMPLE
from support.sites.hostpools import (
    BUDGET,
    CONFIG,
    DAEMON_SET,
    DEPLOYMENT,
    at_rest,
    events,
    exists,
    gone,
    host_config,
    secret,
    shown,
    writes,
)
from testbed import eventually
from testbed.admin import condition

KINDS = ("v1/ServiceAccount", "v1/ConfigMap", "v1/Service", DEPLOYMENT)


async def test_the_sample_comes_out(operator, admin, namespace):
    name = "my-wasmcloud-cluster"
    await admin.create(secret(namespace, name, {"WASMCLOUD_CLUSTER_SEED": "seed"}))
    await admin.create({**host_config(namespace, name), "spec": SAMPLE})
    deployment = await exists(admin, DEPLOYMENT, namespace, name)
    template = deployment["spec"]["template"]
    assert deployment["spec"]["replicas"] == 2
    assert template["metadata"]["labels"]["host-label.k8s.wasmcloud.dev/some-label"] == "value"
    (leaf,), (host,) = template["spec"]["initContainers"], template["spec"]["containers"]
    assert (leaf["name"], host["name"]) == ("nats-leaf", "wasmcloud-host")
    assert host["image"] == "ghcr.io/wasmcloud/wasmcloud:1.0.2"
    env = {entry["name"]: entry.get("value") for entry in host["env"]}
    assert env["WASMCLOUD_LATTICE"] == SAMPLE["lattice"]
    assert env["WASMCLOUD_LABEL_some-label"] == "value"
    conf = (await admin.get("v1/ConfigMap", name, namespace))["data"]["nats.conf"]
    assert "nats-leaf://nats-cluster.default.svc.cluster.local:7422" in conf
    service = await exists(admin, "v1/Service", namespace, name)
    assert [port["port"] for port in service["spec"]["ports"]] == [4222]
    await shown(admin, namespace, name, Ready="Unknown", Reconciling="True", Stalled="False", SecretsValid="True")


@pytest.mark.parametrize(
    ("kind", "name"), [("apps/v1/Deployment", "pool"), ("v1/ConfigMap", "pool"), ("v1/Secret", "pool-registry")]
)
async def test_an_owner_reference_taken_off_is_put_back(operator, admin, namespace, kind, name):
    auths = {"auths": {"r.example": {"username": "u", "password": "p"}}}
    await admin.create(
        secret(namespace, "pull", {".dockerconfigjson": json.dumps(auths)}, "kubernetes.io/dockerconfigjson")
    )
    await admin.create(host_config(namespace, registryCredentialsSecret="pull"))
    await shown(admin, namespace, Stalled="False")
    await exists(admin, kind, namespace, name)
    await admin.patch(kind, name, namespace, {"metadata": {"ownerReferences": None}})
    await admin.wait_for(kind, name, namespace, lambda found: found and found["metadata"].get("ownerReferences"))


async def test_a_manager_that_sets_a_child_back_again_and_again_is_named_in_a_condition_and_an_event(
    operator, crds, admin, namespace
):
    await admin.create(host_config(namespace))
    await exists(admin, "v1/Service", namespace)
    since = await at_rest(crds, namespace)
    theirs = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "pool", "namespace": namespace}}
    async with setting_back(lambda: admin.apply({**theirs, "spec": {"selector": {"foreign": "x"}}}, manager="other")):
        status = await shown(admin, namespace, Warnings="SetBack")
        message = condition({"status": status}, "Warnings")["message"]
        assert message.startswith(f"Service {namespace}/pool: .spec.selector.")
        assert "is set back by field manager other" in message
        (event,) = await eventually(lambda: events(admin, namespace, "SetBack"))
        assert event["note"] == message
        assert event["regarding"]["name"] == "pool"
        await asyncio.sleep(5)  # the stretch that is measured
        assert len([one for one in writes(crds, since, namespace) if one.resource == "services"]) <= 6
    await admin.wait_for(
        "v1/Service", "pool", namespace, lambda found: "foreign" not in found["spec"]["selector"], timeout=90
    )
    await eventually(lambda: _warned_no_more(admin, namespace), timeout=90)


async def _warned_no_more(admin, namespace):
    return condition(await admin.get(CONFIG, "pool", namespace), "Warnings") is None


async def test_a_field_that_the_api_server_drops_does_not_hold_up_the_rest(operator, admin, namespace):
    dropped = {"podTemplateAdditions": {"workloadRef": {"name": "w", "podGroup": "g"}}}
    await admin.create(host_config(namespace, schedulingOptions=dropped))
    deployment = await exists(admin, DEPLOYMENT, namespace)
    assert "workloadRef" not in deployment["spec"]["template"]["spec"], "this API server keeps it: take another field"
    await exists(admin, "v1/Service", namespace)
    await admin.patch(CONFIG, "pool", namespace, {"spec": {"podDisruptionBudget": {"minAvailable": 1}}})
    await exists(admin, BUDGET, namespace)


@pytest.mark.parametrize("data", [None, {"other": "x"}], ids=["no Secret", "no key"])
async def test_without_the_secret_there_is_no_deployment_until_it_comes(operator, admin, namespace, data):
    if data is not None:
        await admin.create(secret(namespace, "keys", data))
    await admin.create(host_config(namespace, secretName="keys", issuers=["CDK"], version="0.82.0"))
    status = await shown(admin, namespace, Stalled="True", SecretsValid="False", Ready="False")
    message = condition({"status": status}, "Stalled")["message"]
    assert "keys" in message
    assert "WASMCLOUD_CLUSTER_SEED" in message
    assert await admin.find(DEPLOYMENT, "pool", namespace) is None
    reason = condition({"status": status}, "Stalled")["reason"]
    (event,) = await eventually(lambda: events(admin, namespace, reason))
    assert event["regarding"]["name"] == "pool"
    assert "WASMCLOUD_CLUSTER_SEED" in event["note"]
    await admin.apply(secret(namespace, "keys", {"WASMCLOUD_CLUSTER_SEED": "seed"}))
    await exists(admin, DEPLOYMENT, namespace)
    await shown(admin, namespace, SecretsValid="True", Stalled="False")


async def test_a_child_deleted_by_hand_comes_back(operator, crds, admin, namespace):
    await admin.create(host_config(namespace, podDisruptionBudget={}))
    await exists(admin, BUDGET, namespace)
    await at_rest(crds, namespace)
    for kind in (*KINDS, BUDGET):
        uid = (await exists(admin, kind, namespace))["metadata"]["uid"]
        await admin.delete(kind, "pool", namespace)
        await admin.wait_for(
            kind, "pool", namespace, lambda found, uid=uid: found is not None and found["metadata"]["uid"] != uid
        )


HAND_EDITS = [
    (DEPLOYMENT, {"spec": {"replicas": 7}}),
    (DEPLOYMENT, {"spec": {"minReadySeconds": 0}}),
    (DEPLOYMENT, {"spec": {"strategy": {"rollingUpdate": {"maxSurge": 3}}}}),
    (DEPLOYMENT, {"spec": {"template": {"spec": {"automountServiceAccountToken": True}}}}),
    (DEPLOYMENT, {"spec": {"template": {"spec": {"containers": [{"name": "wasmcloud-host", "image": "evil"}]}}}}),
    (DEPLOYMENT, {"spec": {"template": {"metadata": {"labels": {"host-label.k8s.wasmcloud.dev/kubernetes": "no"}}}}}),
    (DEPLOYMENT, {"metadata": {"labels": {"app.kubernetes.io/component": "mine"}}}),
    (DEPLOYMENT, {"metadata": {"labels": {"app.kubernetes.io/managed-by": "me"}}}),
    ("v1/ConfigMap", {"data": {"nats.conf": "port: 1"}}),
    ("v1/Service", {"spec": {"selector": {"app.kubernetes.io/instance": "other"}}}),
    ("v1/ServiceAccount", {"automountServiceAccountToken": True}),
]


async def test_a_hand_edit_of_any_applied_field_is_undone_and_additions_of_others_stay(
    operator, crds, admin, namespace
):
    await admin.create(host_config(namespace))
    await exists(admin, "v1/Service", namespace)
    added = {"metadata": {"labels": {"mine": "yes"}, "annotations": {"mine/note": "kept"}}}
    for kind in KINDS:
        await admin.patch(kind, "pool", namespace, added)
    await admin.patch("v1/ConfigMap", "pool", namespace, {"data": {"mine": "kept"}})
    await at_rest(crds, namespace)
    before = {kind: await admin.get(kind, "pool", namespace) for kind in KINDS}
    for kind, edit in HAND_EDITS:
        edited = await admin.patch(kind, "pool", namespace, edit, how="strategic")

        def undone(found, kind=kind, edited=edited):
            same = _without_status(found) == _without_status(before[kind])
            return found["metadata"]["resourceVersion"] != edited["metadata"]["resourceVersion"] and same

        await admin.wait_for(kind, "pool", namespace, undone)
    assert (await admin.get("v1/ConfigMap", "pool", namespace))["data"]["mine"] == "kept"


def _without_status(item):
    volatile = ("resourceVersion", "managedFields", "generation")
    metadata = {key: value for key, value in item["metadata"].items() if key not in volatile}
    annotations = {k: v for k, v in metadata["annotations"].items() if not k.startswith("deployment.kubernetes.io/")}
    rest = {key: value for key, value in item.items() if key not in ("status", "metadata")}
    return rest | {"metadata": metadata | {"annotations": annotations}}


async def test_a_foreign_object_of_that_name_is_a_conflict_and_left_alone(operator, crds, admin, namespace):
    foreign = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "pool", "namespace": namespace}}
    before = await admin.create({**foreign, "data": {"nats.conf": "mine"}})
    await admin.create(host_config(namespace))
    status = await shown(admin, namespace, Stalled="Conflict", Ready="False")
    assert f"ConfigMap {namespace}/pool" in condition({"status": status}, "Stalled")["message"]
    await eventually(lambda: events(admin, namespace, "Conflict"))
    assert await admin.get("v1/ConfigMap", "pool", namespace) == before
    assert await admin.find(DEPLOYMENT, "pool", namespace) is None
    since = await at_rest(crds, namespace)
    assert writes(crds, since, namespace) == []


async def test_deployment_and_daemon_set_take_each_others_place(operator, admin, kwok, namespace):
    await admin.create(host_config(namespace))
    await exists(admin, DEPLOYMENT, namespace)
    await admin.patch(CONFIG, "pool", namespace, {"spec": {"daemonset": True}})
    await exists(admin, DAEMON_SET, namespace)
    await gone(admin, DEPLOYMENT, namespace)
    await admin.patch(CONFIG, "pool", namespace, {"spec": {"daemonset": None}})
    await exists(admin, DEPLOYMENT, namespace)
    await gone(admin, DAEMON_SET, namespace)


async def test_generated_fields_that_were_taken_out_stay_out(operator, crds, admin, namespace):
    """As a server-side apply of nulls leaves them in the spec: neither pruned nor put back."""
    additions = {"topologySpreadConstraints": None, "affinity": None, "securityContext": {"sysctls": None}}
    host = {"resources": None, "securityContext": {"readOnlyRootFilesystem": None}}
    spec = {"podTemplateAdditions": additions, "containerTemplateAdditions": {"wasmcloud": host}}
    await admin.apply(host_config(namespace, schedulingOptions=spec))
    deployment = await exists(admin, DEPLOYMENT, namespace)
    pod = deployment["spec"]["template"]["spec"]
    assert not pod.keys() & {"topologySpreadConstraints", "affinity"}
    assert "sysctls" not in pod["securityContext"]
    assert pod["containers"][0]["resources"] == {}
    assert "readOnlyRootFilesystem" not in pod["containers"][0]["securityContext"]
    await shown(admin, namespace, Stalled="False")
    await at_rest(crds, namespace)


async def test_scaling_by_the_subresource(operator, admin, namespace):
    await admin.create(host_config(namespace))
    status = await shown(admin, namespace, Stalled="False")
    await admin.scale(CONFIG, "pool", namespace, 3)
    await admin.wait_for(DEPLOYMENT, "pool", namespace, lambda found: found and found["spec"]["replicas"] == 3)
    scale = await admin.request("GET", await admin.path(CONFIG, namespace, "pool/scale"))
    assert scale["spec"]["replicas"] == 3
    assert scale["status"]["selector"] == status["selector"]
    assert "app.kubernetes.io/instance=pool" in status["selector"]


# The last here: the garbage collector takes up to 30 s to notice a new kind of owner.
async def test_deleting_the_config_removes_its_children_and_nothing_else(operator, admin, namespace):
    await admin.create(secret(namespace, "keys", {"WASMCLOUD_CLUSTER_SEED": "s"}))
    for name in ("pool", "stays"):
        await admin.create(host_config(namespace, name, secretName="keys", podDisruptionBudget={}))
        await exists(admin, BUDGET, namespace, name)
    await admin.delete(CONFIG, "pool", namespace)
    for kind in (*KINDS, BUDGET):
        await gone(admin, kind, namespace, timeout=120)
    for kind in (*KINDS, BUDGET):
        assert (await admin.get(kind, "stays", namespace))["metadata"].get("deletionTimestamp") is None
    assert await admin.find("v1/Secret", "keys", namespace) is not None
