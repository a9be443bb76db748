"""Two replicas as users run them: the first start, what a standby keeps, and what it does when it leads."""

from __future__ import annotations

import re
import time
from typing import Any

from support.operators.in_process import RunningOperator
from testbed import Admin, ControlPlane, eventually
from testbed.admin import ApiError

CONFIG = "k8s.wasmcloud.dev/v1alpha1/WasmCloudHostConfig"
DEPLOYMENT = "apps/v1/Deployment"
EVENT = "events.k8s.io/v1/Event"


def config(name: str, namespace: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "k8s.wasmcloud.dev/v1alpha1",
        "kind": "WasmCloudHostConfig",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"lattice": "default", "version": "1.9.0", "natsAddress": "nats://127.0.0.1:1", **spec},
    }


def replica(crds: ControlPlane, namespace: str, identity: str):
    return RunningOperator.start(
        crds, watch_namespaces=namespace, namespace=namespace, leader_election=True, identity=identity
    )


async def has(admin: Admin, name: str, namespace: str) -> bool:
    try:
        await admin.get(DEPLOYMENT, name, namespace)
    except ApiError:
        return False
    return True


def depths(metrics: str) -> float:
    return sum(float(value) for value in re.findall(r"^workqueue_depth\{.*\} (.*)$", metrics, re.MULTILINE))


async def test_a_standby_keeps_caches_and_no_queues_and_takes_over_at_once(
    crds: ControlPlane, admin: Admin, namespace: str
):
    async with replica(crds, namespace, "one") as one:
        await eventually(lambda: leads(one))
        async with replica(crds, namespace, "two") as two:
            for number in range(10):
                await admin.create(config(f"pool-{number}", namespace))
            await eventually(lambda: has(admin, "pool-9", namespace))
            for number in range(5):
                await admin.delete(CONFIG, f"pool-{number}", namespace)
            shown = await two.debug()
            assert shown["lease"]["state"] == "standing by"
            assert shown["lease"]["holder"] == "one"
            assert depths(await two.metrics()) == 0
            for controller in shown["controllers"].values():
                assert controller == {"queue": {"ready": 0, "delayed": 0, "secondsInWork": {}}, "keys": {}}
            await admin.delete(DEPLOYMENT, "pool-8", namespace)
            await one.stop()
            started = time.monotonic()
            await eventually(lambda: leads(two))
            assert time.monotonic() - started < 10
            await admin.create(config("after", namespace))
            await eventually(lambda: has(admin, "after", namespace))
            await eventually(lambda: has(admin, "pool-8", namespace))
            assert f"{namespace}/after" in (await two.debug())["controllers"]["wasmcloudhostconfig"]["keys"]


async def test_the_first_start_in_a_new_cluster_does_not_wait(crds: ControlPlane, admin: Admin, namespace: str):
    async with replica(crds, namespace, "one") as one:
        started = time.monotonic()
        await eventually(lambda: leads(one), timeout=60)
        first = time.monotonic() - started
        await admin.create(config("pool", namespace))
        await eventually(lambda: has(admin, "pool", namespace))
    await admin.delete("coordination.k8s.io/v1/Lease", "wasmcloud-operator", namespace)
    async with replica(crds, namespace, "two") as two:
        started = time.monotonic()
        await eventually(lambda: leads(two), timeout=60)
        assert time.monotonic() - started > 7  # an earlier leader may still write
    assert first < 7


async def test_events_reported_before_a_stop_are_sent_with_the_gate_still_open(
    crds: ControlPlane, admin: Admin, namespace: str
):
    async with replica(crds, namespace, "one") as one:
        await eventually(lambda: leads(one))
        await admin.create(config("pool", namespace))
        await eventually(lambda: has(admin, "pool", namespace))
        await one.stop()
        reasons = {event["reason"] for event in await admin.list(EVENT, namespace) if event["type"] == "Normal"}
        assert "Created" in reasons


async def leads(operator: RunningOperator) -> bool:
    return (await operator.debug())["lease"]["state"] == "leading"
