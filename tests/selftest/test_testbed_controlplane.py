"""The testbed itself: what tests rely on when they judge the operator with it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from testbed import Admin, ApiError, ControlPlane, Kwok, NeverHappened, eventually, is_true
from testbed.kwok import HOLD_LABEL

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "initContainers": [{"name": "sidecar", "image": "s", "restartPolicy": "Always"}],
                "containers": [{"name": "main", "image": "m"}],
            },
        },
    },
}


async def test_simulated_pods_become_ready_and_go_with_their_owner(admin: Admin, namespace: str, kwok: Kwok) -> None:
    await admin.apply(DEPLOYMENT, namespace)
    await admin.wait_for("apps/v1/Deployment", "web", namespace, lambda found: is_true(found, "Available"), timeout=30)
    pods = await admin.list("v1/Pod", namespace, labels="app=web")
    assert len(pods) == 2
    assert all(pod["status"]["podIP"] for pod in pods)
    assert all(pod["status"]["initContainerStatuses"][0]["started"] for pod in pods)
    await admin.delete("apps/v1/Deployment", "web", namespace)
    await eventually(lambda: _no_pods(admin, namespace), timeout=30, message="pods collected")


async def _no_pods(admin: Admin, namespace: str) -> bool:
    return not await admin.list("v1/Pod", namespace)


async def test_a_held_pod_waits_for_its_label_to_go(admin: Admin, namespace: str, kwok: Kwok) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "held", "labels": {HOLD_LABEL: "true"}},
        "spec": {"containers": [{"name": "main", "image": "m"}]},
    }
    await admin.create(pod, namespace)
    scheduled = await admin.wait_for("v1/Pod", "held", namespace, lambda found: is_true(found, "PodScheduled"))
    assert scheduled is not None
    with pytest.raises(NeverHappened, match="last seen"):
        await admin.wait_for("v1/Pod", "held", namespace, lambda found: is_true(found, "Ready"), timeout=1)
    await admin.patch("v1/Pod", "held", namespace, {"metadata": {"labels": {HOLD_LABEL: None}}})
    await admin.wait_for("v1/Pod", "held", namespace, lambda found: is_true(found, "Ready"))


async def test_a_pod_made_anew_outlives_the_forced_end_of_its_namesake(
    admin: Admin, namespace: str, kwok: Kwok
) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "again"},
        "spec": {"nodeName": "node-0", "containers": [{"name": "main", "image": "m"}]},
    }
    for _ in range(20):
        made = await admin.create(pod, namespace)
        ready = await admin.wait_for("v1/Pod", "again", namespace, lambda found: is_true(found, "Ready"), timeout=30)
        assert ready is not None
        assert ready["metadata"]["uid"] == made["metadata"]["uid"]
        await admin.delete("v1/Pod", "again", namespace, grace=0)


async def test_plain_users_have_no_rights_until_they_are_bound(
    control_plane: ControlPlane, admin: Admin, namespace: str
) -> None:
    alice = control_plane.client_of(control_plane.user("alice"))
    with pytest.raises(ApiError) as refused:
        await alice.list("v1/Pod", namespace)
    assert (refused.value.status, refused.value.reason) == (403, "Forbidden")
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "alice"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}],
    }
    await admin.create(binding, namespace)

    async def allowed() -> bool:
        return await alice.list("v1/Pod", namespace) == []

    await eventually(allowed)


async def test_service_account_tokens_are_those_of_the_account(
    control_plane: ControlPlane, admin: Admin, namespace: str
) -> None:
    token = await admin.service_account_token("default", namespace)
    with pytest.raises(ApiError, match=f"system:serviceaccount:{namespace}:default"):
        await control_plane.client_of(token).list("v1/Secret", namespace)


async def test_the_audit_log_counts_requests(control_plane: ControlPlane, admin: Admin, namespace: str) -> None:
    assert control_plane.audit is not None
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "b"}}
    with control_plane.audit.counting(user="admin", user_agent="testbed-admin") as counter:
        await admin.apply(config, namespace)
        await admin.get("v1/ConfigMap", "c", namespace)
        await admin.delete("v1/ConfigMap", "c", namespace)
    assert [(event.verb, event.namespace, event.name) for event in counter.writes] == [
        ("patch", namespace, "c"),
        ("delete", namespace, "c"),
    ]
    assert counter.by_verb_and_resource()["get", "configmaps"] == 1


async def test_waiting_sees_creation_change_and_end(admin: Admin, namespace: str) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}}

    async def wait(predicate: object) -> object:
        return await admin.wait_for("v1/ConfigMap", "c", namespace, predicate)

    async with asyncio.TaskGroup() as group:
        appears = group.create_task(wait(lambda found: found is not None))
        await admin.create(config, namespace)
        await appears
        changes = group.create_task(wait(lambda found: found and found["data"]["a"] == "2"))
        await admin.patch("v1/ConfigMap", "c", namespace, {"data": {"a": "2"}})
        await changes
        ends = group.create_task(wait(lambda found: found is None))
        await admin.delete("v1/ConfigMap", "c", namespace)
        assert await ends is None


async def test_a_control_plane_outlives_a_crash_of_the_api_server_and_of_etcd(tmp_path: Path) -> None:
    async with ControlPlane.start(tmp_path) as control_plane:
        admin = control_plane.admin()
        await admin.create_namespace("kept")
        await control_plane.apiserver.kill()
        await control_plane.apiserver.start()
        assert await admin.get("v1/Namespace", "kept")
        await control_plane.etcd.restart()
        await eventually(lambda: admin.get("v1/Namespace", "kept"), timeout=30)
    assert not any(server.running for server in control_plane.servers)
