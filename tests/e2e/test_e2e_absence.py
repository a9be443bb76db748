"""The operator is away while pods come and go: what serves goes on serving, and after its return all is right."""

from __future__ import annotations

import asyncio
import time

import pytest
from e2ereport import Notes
from e2etogether import together
from e2everdicts import CONFIG
from e2eworld import GREETING, OPERATOR, POOL, World, hello, restarts, scaled, url

from testbed import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")
AWAY = 60.0  # seconds


@pytest.mark.journey("5 operator away for a minute while pods come and go")
@together("side_by_side", alone=True)
async def test_operator_is_killed(world: World, place: str, notes: Notes) -> None:
    # one pool serves, the other is there to be scaled
    await world.apply_hosts(place, hostReplicas=2, hostLabels={"pool": "front"})
    await world.apply_hosts(place, "back", hostReplicas=1, hostLabels={"pool": "back"})
    await world.hosts_ready(place)
    await world.hosts_ready(place, "back")
    await world.admin.apply(scaled(hello(place), ("daemonscaler", "daemonscaler"), (5, 1), {"pool": "front"}))
    await world.application_ready(place)
    await eventually(lambda: world.all_serve(place), timeout=300, interval=0.5)
    await world.answers(url(place))
    kept, victim = await world.host_pods(place)

    # all replicas die at once, and none comes back for a minute
    await world.cluster.kubectl("scale", "-n", OPERATOR, f"deployment/{OPERATOR}", "--replicas=0")
    operators = ("-l", "app.kubernetes.io/component=operator")
    await world.cluster.kubectl("delete", "pods", "-n", OPERATOR, *operators, "--grace-period=0", "--force")
    away = time.monotonic()
    await world.admin.delete("v1/Pod", victim["metadata"]["name"], place)
    await world.admin.patch(CONFIG, "back", place, {"spec": {"hostReplicas": 2}})
    while time.monotonic() - away < AWAY:
        # what serves goes on serving; for a moment some of it is still sent to the pod that is being deleted
        assert await world.answers(url(place), timeout=60) == GREETING
        await asyncio.sleep(2)

    started = time.monotonic()
    await world.cluster.kubectl("scale", "-n", OPERATOR, f"deployment/{OPERATOR}", "--replicas=2")
    await world.available(OPERATOR, OPERATOR)
    for pool in (POOL, "back"):
        await eventually(lambda pool=pool: world.live_hosts(place, 2, pool), timeout=300, interval=0.5)
    await world.application_ready(place)
    await eventually(lambda: world.all_serve(place), timeout=300, interval=0.5)
    notes.add(f"all right {time.monotonic() - started:.1f} s after its return")
    pods = await world.host_pods(place)
    assert kept["metadata"]["uid"] in {pod["metadata"]["uid"] for pod in pods}, "a pod that served was replaced"
    notes.add(f"{restarts(pods)} restarts")
