"""Coming from the operator written in Rust: its objects are adopted, what it left goes, and it must not still run."""

from __future__ import annotations

import json

import pytest

from support.operators.in_process import RunningOperator
from support.sites.hostpools import (
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
from wasmcloud_operator.commands.migrate import as_lines, run_migration
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.credentials import Credentials
from wasmcloud_operator.kube.transport import ConnectionOptions, Transport

MANAGER = "operator.k8s.wasmcloud.dev/wasmcloud-host-config"
FINALIZER = MANAGER
API_SERVICE = "apiregistration.k8s.io/v1/APIService"
ROLE, ROLE_BINDING = "rbac.authorization.k8s.io/v1/Role", "rbac.authorization.k8s.io/v1/RoleBinding"
LABELS = {"app.kubernetes.io/name": "wasmcloud", "app.kubernetes.io/instance": "pool"}
# What it labelled workloads, their pods and Services, up to 0.5.0 and since; nothing else had the label.
GENERATIONS = ("wasmcloud-operator", "wadm-operator")
STREAMS = "wasmcloud_operator_events or wadm_operator_events"
UNLABELLED = {"ServiceAccount", "ConfigMap", "Role", "RoleBinding"}


def of_old(kind, config, managed_by, **fields):
    """An object as the Rust operator applied it."""
    api_version, _, name = kind.rpartition("/")
    owner = {
        "apiVersion": config["apiVersion"], "kind": config["kind"], "name": "pool", "uid": config["metadata"]["uid"],
        "controller": True,
    }  # fmt: skip
    metadata = {"name": "pool", "namespace": config["metadata"]["namespace"], "ownerReferences": [owner]}
    if name not in UNLABELLED:
        metadata["labels"] = {**LABELS, "app.kubernetes.io/managed-by": managed_by}
    return {"apiVersion": api_version, "kind": name, "metadata": metadata, **fields}


async def left_behind(admin, namespace, managed_by=GENERATIONS[1]):
    """A config with everything that the Rust operator makes of it."""
    made = host_config(namespace, version="1.0.2")
    made["metadata"]["finalizers"] = [FINALIZER]
    config = await admin.create(made)
    leaf = {
        "name": "nats-leaf", "image": "nats:2.10-alpine", "args": ["-js", "--config", "/nats/nats.conf"],
        "volumeMounts": [{"name": "nats-config", "mountPath": "/nats/nats.conf", "subPath": "nats.conf"}],
    }  # fmt: skip
    host = {
        "name": "wasmcloud-host", "image": "ghcr.io/wasmcloud/wasmcloud:1.0.2",
        "env": [{"name": "WASMCLOUD_LATTICE", "value": "default"},
                {"name": "OCI_REGISTRY_PASSWORD", "value": "literal-password"}],
    }  # fmt: skip
    template = {
        "metadata": {"labels": {**LABELS, "app.kubernetes.io/managed-by": managed_by}},
        "spec": {
            "serviceAccountName": "pool", "containers": [leaf, host],
            "volumes": [{"name": "nats-config", "configMap": {"name": "pool"}}],
        },
    }  # fmt: skip
    deployment = {"replicas": 1, "selector": {"matchLabels": LABELS}, "template": template}
    nowhere = {**template, "spec": {**template["spec"], "nodeSelector": {"no": "node"}}}
    # From when the config asked for one: it did not remove what was there before.
    daemon_set = {"selector": {"matchLabels": LABELS}, "template": nowhere}
    ports = [{"name": "nats-client", "port": 4222, "targetPort": 4222, "protocol": "TCP"}]
    role_ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "pool"}
    rules = [{"apiGroups": [""], "resources": ["services"], "verbs": ["get", "create"]}]
    subjects = [{"kind": "ServiceAccount", "name": "pool", "namespace": namespace}]
    for old in (
        of_old("v1/ServiceAccount", config, managed_by),
        of_old("v1/ConfigMap", config, managed_by, data={"nats.conf": "jetstream {}", "old.key": "x"}),
        of_old("v1/Service", config, managed_by, spec={"selector": LABELS, "ports": ports}),
        of_old(DEPLOYMENT, config, managed_by, spec=deployment),
        of_old(DAEMON_SET, config, managed_by, spec=daemon_set),
        of_old(ROLE, config, managed_by, rules=rules),
        of_old(ROLE_BINDING, config, managed_by, roleRef=role_ref, subjects=subjects),
    ):
        await admin.apply(old, manager=MANAGER)
    return config


def rollouts(deployment):
    return int(deployment["metadata"]["annotations"].get("deployment.kubernetes.io/revision", 0))


@pytest.mark.parametrize("managed_by", GENERATIONS)
async def test_its_objects_are_adopted_and_the_hosts_restart_once(crds, admin, kwok, namespace, managed_by):
    config = await left_behind(admin, namespace, managed_by)
    before = await admin.wait_for(DEPLOYMENT, "pool", namespace, lambda found: rollouts(found) == 1)
    async with RunningOperator.start(crds, watch_namespaces=namespace):
        await shown(admin, namespace, Stalled="False", Reconciling="True")
        for kind in (ROLE, ROLE_BINDING, DAEMON_SET):
            await gone(admin, kind, namespace)
        await admin.wait_for(CONFIG, "pool", namespace, lambda found: "finalizers" not in found["metadata"])
        (event,) = await eventually(lambda: events(admin, namespace, "Adopted"))
        assert event["regarding"]["uid"] == config["metadata"]["uid"]
        await at_rest(crds, namespace)
        after = await admin.wait_for(DEPLOYMENT, "pool", namespace, lambda found: rollouts(found) == 2)
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        pod = after["spec"]["template"]["spec"]
        assert [one["name"] for one in pod["containers"]] == ["wasmcloud-host"]
        assert [one["name"] for one in pod["initContainers"]] == ["nats-leaf"]
        assert "literal-password" not in json.dumps(after["spec"])
        for kind in ("v1/ServiceAccount", "v1/ConfigMap", "v1/Service", DEPLOYMENT):
            found = await admin.get(kind, "pool", namespace)
            managers = {(entry["manager"], entry["operation"]) for entry in found["metadata"]["managedFields"]}
            assert MANAGER not in {manager for manager, _ in managers}, kind
            assert ("wasmcloud-operator", "Apply") in managers
            assert found["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "wasmcloud-operator"
        assert "old.key" not in (await admin.get("v1/ConfigMap", "pool", namespace))["data"]
        since = await at_rest(crds, namespace)
        assert writes(crds, since, namespace) == []


async def test_an_adopted_pool_keeps_its_leaf_service_until_it_says_otherwise(crds, admin, kwok, namespace):
    config = await left_behind(admin, namespace, GENERATIONS[0])
    await admin.patch(CONFIG, "pool", namespace, {"spec": {"natsAddress": "nats://user:password@127.0.0.1:9"}})
    before = await admin.get("v1/Service", "pool", namespace)
    for _ in range(2):  # also once the finalizer that showed the former operator is gone
        async with RunningOperator.start(crds, watch_namespaces=namespace):
            await shown(admin, namespace, Warnings="True")
            await admin.wait_for(CONFIG, "pool", namespace, lambda found: "finalizers" not in found["metadata"])
            await at_rest(crds, namespace)
            assert (await admin.get("v1/Service", "pool", namespace))["metadata"]["uid"] == before["metadata"]["uid"]
    (event,) = await events(admin, namespace, "LeafServiceOpen")
    assert event["regarding"]["uid"] == config["metadata"]["uid"]
    async with RunningOperator.start(crds, watch_namespaces=namespace):
        await admin.patch(CONFIG, "pool", namespace, {"spec": {"leafService": {"enabled": False}}})
        await gone(admin, "v1/Service", namespace)
        await admin.wait_for(CONFIG, "pool", namespace, lambda found: found["status"].get("leafService") == "loopback")


async def migration(crds, namespace, *, dry_run=True):
    options = ConnectionOptions(Credentials(crds.kubeconfig), user_agent="wasmcloud-operator-migrate")
    async with Transport.open(options) as transport:
        done = await run_migration(Reader(transport), namespace, "auto", dry_run=dry_run)
    return done.exit_code, list(as_lines(done))


async def test_migrate_says_beforehand_what_will_change(crds, admin, kwok, namespace):
    await left_behind(admin, namespace)
    with crds.audit.counting(user_agent="wasmcloud-operator-migrate") as counter:
        code, lines = await migration(crds, namespace)
    assert counter.requests
    assert counter.writes == []
    about = f"WasmCloudHostConfig {namespace}/pool: "
    pods = f"{about}Deployment pool: pods: "
    assert code == 0
    assert [line for line in lines if not line.startswith(("APIService", pods))] == [
        f"{about}ServiceAccount pool is adopted",
        f"{about}ConfigMap pool is adopted",
        f"{about}Deployment pool is adopted; its pods restart once",
        f"{about}Service pool is adopted",
        f"{about}RoleBinding pool is removed",
        f"{about}Role pool is removed",
        f"{about}DaemonSet pool is removed",
        f"{about}finalizer {FINALIZER} is taken off",
        f"NATS: its stream stays in each hub; `nats stream rm` removes it: {STREAMS}",
    ]
    assert {line.removeprefix(pods) for line in lines if line.startswith(pods)} >= {
        "securityContext.runAsUser becomes 65532 (was not set)",
        "securityContext.fsGroup becomes 65532 (was not set)",
        "nats-leaf: runs among initContainers, not among containers",
        "wasmcloud-host: env: OCI_REGISTRY_PASSWORD is removed",
    }
    assert "literal-password" not in "".join(lines)
    async with RunningOperator.start(crds, watch_namespaces=namespace):
        await admin.wait_for(CONFIG, "pool", namespace, lambda found: "finalizers" not in found["metadata"])
        await at_rest(crds, namespace)
    assert await migration(crds, namespace) == (0, [f"{about}nothing changes"])


async def test_migrate_names_the_objects_that_will_be_new(crds, admin, namespace):
    login = {"auths": {"r.example": {"username": "u", "password": "p"}}}
    pull = secret(namespace, "pull", {".dockerconfigjson": json.dumps(login)}, "kubernetes.io/dockerconfigjson")
    await admin.create(pull)
    await admin.create(host_config(namespace, registryCredentialsSecret="pull"))
    _, lines = await migration(crds, namespace)
    made = (
        "Secret pool-checksums",
        "Secret pool-registry",
        "ServiceAccount pool",
        "ConfigMap pool",
        "Deployment pool",
        "Service pool",
    )
    assert lines == [f"WasmCloudHostConfig {namespace}/pool: {what} is created" for what in made]


@pytest.mark.parametrize("image", ["ghcr.io/wasmcloud/wasmcloud-operator:0.4.0", "r.example/mirror/wadm-operator"])
async def test_migrate_names_what_has_to_be_mended_first(crds, admin, namespace, image):
    await admin.create(host_config(namespace, secretName="absent"))
    await admin.create(host_config(namespace, "sound"))
    container = {"name": "operator", "image": image}
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [container]}}
    deployment = {"metadata": {"name": "old", "namespace": namespace}, "apiVersion": "apps/v1", "kind": "Deployment"}
    await admin.create({**deployment, "spec": {"selector": {"matchLabels": LABELS}, "template": template}})
    code, lines = await migration(crds, namespace, dry_run=False)
    assert code == 1
    assert any(f"Deployment {namespace}/old" in line and "still runs" in line for line in lines)
    assert any(".spec.secretName: Secret absent does not exist" in line for line in lines)
    assert f"WasmCloudHostConfig {namespace}/sound: Deployment sound is created" in lines


async def test_migrate_removes_only_an_api_service_that_is_the_other_ones(crds, admin, namespace):
    name = "v1beta1.core.oam.dev"
    of_crd = await admin.get(API_SERVICE, name)
    assert await migration(crds, namespace, dry_run=False) == (0, [])
    assert (await admin.get(API_SERVICE, name))["metadata"]["uid"] == of_crd["metadata"]["uid"]


async def test_a_rust_operator_that_still_runs_is_named_and_not_fought(operator, crds, admin, namespace):
    await admin.create(host_config(namespace))
    await exists(admin, DEPLOYMENT, namespace)
    add = {"metadata": {"finalizers": [FINALIZER]}}
    await admin.patch(CONFIG, "pool", namespace, add)
    await admin.wait_for(CONFIG, "pool", namespace, lambda found: "finalizers" not in found["metadata"])
    await admin.patch(CONFIG, "pool", namespace, add)
    status = await shown(admin, namespace, Stalled="OtherOperatorRuns")
    assert "Rust" in condition({"status": status}, "Stalled")["message"]
    await eventually(lambda: events(admin, namespace, "OtherOperatorRuns"))
    since = await at_rest(crds, namespace)
    assert writes(crds, since, namespace) == []


async def test_its_finalizer_does_not_hold_up_a_deletion(operator, admin, namespace):
    made = host_config(namespace)
    made["metadata"]["finalizers"] = [FINALIZER]
    await admin.create(made)
    await admin.delete(CONFIG, "pool", namespace)
    await gone(admin, CONFIG, namespace)
