"""A pool that is scaled and that changes its kind of workload: as many live hosts as were asked for, none restarted."""

from __future__ import annotations

import time

import pytest
from e2ereport import Notes
from e2etogether import together
from e2everdicts import CONFIG
from e2eworld import POOL, World, names, restarts

from testbed import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.journey("4 scale 1 → 3 → 1, Deployment → DaemonSet → Deployment")
@together("side_by_side")
async def test_scale_and_toggle(world: World, place: str, notes: Notes) -> None:
    await world.apply_hosts(place, hostReplicas=1)
    await world.hosts_ready(place)
    (first,) = await world.host_pods(place)

    for replicas in (3, 1):
        started = time.monotonic()
        await world.cluster.kubectl("scale", "-n", place, f"whc/{POOL}", f"--replicas={replicas}")
        await eventually(lambda n=replicas: world.live_hosts(place, n), timeout=300, interval=0.5)
        notes.add(f"{replicas} live hosts after {time.monotonic() - started:.1f} s")
    # a host that goes takes its leave, by a leaf node that outlives it
    await eventually(lambda: _have_left(world, place, 2), timeout=60, interval=0.5)
    notes.add(f"{restarts(await world.host_pods(place))} restarts")

    # the other kind of workload, and back: never both, never none for long
    for daemonset, kind, gone in ((True, "DaemonSet", "Deployment"), (False, "Deployment", "DaemonSet")):
        await world.admin.patch(CONFIG, POOL, place, {"spec": {"daemonset": daemonset}})
        await world.admin.wait_for(f"apps/v1/{gone}", POOL, place, lambda seen: seen is None, timeout=300)
        await world.hosts_ready(place)
        assert await world.admin.find(f"apps/v1/{kind}", POOL, place) is not None
        wanted = len(await world.admin.list("v1/Node")) if daemonset else 1
        await eventually(lambda n=wanted: world.live_hosts(place, n), timeout=300, interval=0.5)
    assert first["metadata"]["name"] not in names(await world.host_pods(place))
    assert set(world.verdicts[place].of(POOL)) == {"InProgress", "Current"}


async def _have_left(world: World, lattice: str, number: int) -> bool:
    """Whether that many hosts of a lattice have announced in the last 70 seconds that they stop. The hub's stream for
    wadm has it: a subscription through a forwarded port misses what comes while its connection is made anew.
    """
    async with world.nats() as hub:
        subject = f"wasmbus.evt.{lattice}.host_stopped"
        found = await hub.jetstream().stream_info("wasmbus_events", subjects_filter=subject)
        return bool((found.state.subjects or {}).get(subject) == number)
