"""Deleting the application, the pool and the namespace, in every order: nothing hangs, and wadm is empty after it.

Where wadm cannot be asked any more, what is left there is reported.
"""

from __future__ import annotations

import time

import pytest
from e2ereport import Notes
from e2etogether import together
from e2everdicts import APPLICATION, CONFIG
from e2eworld import POOL, World, hello, names

from testbed import eventually, is_true

pytestmark = pytest.mark.asyncio(loop_scope="session")
LONGEST = (
    300.0  # seconds: a minute to give up a wadm that is out of reach, and what pods take to stop, on a busy machine
)

Order = tuple[str, ...]
ORDERS: tuple[Order, ...] = (
    ("application", "pool", "namespace"),
    ("pool", "application", "namespace"),
    ("namespace",),
    ("application", "namespace"),
    ("pool", "namespace"),
)
_STEPS = {
    "application": (APPLICATION, "hello-python"),
    "pool": (CONFIG, POOL),
    "namespace": ("v1/Namespace", ""),
}


@pytest.mark.parametrize("order", ORDERS, ids=" then ".join)
@pytest.mark.journey("6 delete")
@together("side_by_side")
async def test_nothing_is_stuck(world: World, place: str, order: Order, notes: Notes) -> None:
    await delete_in_order(world, place, order, notes)


async def delete_in_order(world: World, place: str, order: Order, notes: Notes) -> None:
    await world.apply_hosts(place, hostReplicas=1)
    await world.admin.apply(hello(place))
    await world.hosts_ready(place)
    await world.admin.wait_for(APPLICATION, "hello-python", place, lambda seen: is_true(seen, "Synced"), timeout=180)
    assert await world.models(place) == {"hello-python"}

    await deleted(world, place, order, notes)
    await eventually(lambda: empty(world, place), timeout=180, interval=1, message="wadm to be empty")


async def deleted(world: World, place: str, order: Order, notes: Notes) -> None:
    started = time.monotonic()
    for step in order:
        kind, name = _STEPS[step]
        # not waiting for one to be gone before the next is deleted: whoever deletes a file of manifests does not
        await world.admin.delete(kind, name or place, None if step == "namespace" else place)
    for step in order:
        kind, name = _STEPS[step]
        await world.admin.wait_for(kind, name or place, place, lambda seen: seen is None, timeout=LONGEST)
    notes.add(f"{' → '.join(order)}: gone in {time.monotonic() - started:.1f} s")


async def empty(world: World, lattice: str) -> bool:
    return not await world.models(lattice)


@pytest.mark.journey("6 delete the namespace that the lattice's own NATS is in")
@together("side_by_side")
async def test_the_lattice_goes_too(world: World, place: str, notes: Notes) -> None:
    await with_own_lattice(world, place)
    await deleted(world, place, ("namespace",), notes)
    # no Event: a namespace that is going away takes none
    await eventually(lambda: one_left_in_wadm(world, place), timeout=180, interval=1)


@pytest.mark.journey("6 delete pool and application while wadm is away")
@together("side_by_side")
async def test_wadm_is_away(world: World, place: str, notes: Notes) -> None:
    await with_own_lattice(world, place)
    await world.cluster.kubectl("scale", "-n", place, "deployment/wadm", "--replicas=0")
    await eventually(lambda: no_wadm(world, place), timeout=180, interval=0.5)
    await deleted(world, place, ("pool", "application"), notes)
    await eventually(lambda: one_left_in_wadm(world, place), timeout=180, interval=1)
    await eventually(lambda: event_of(world, place, "LeftInWadm"), timeout=180, interval=1)

    # it is reported rightly: wadm comes back with it
    await world.cluster.kubectl("scale", "-n", place, "deployment/wadm", "--replicas=1")
    await world.available("wadm", place)
    await eventually(lambda: wadm_has_it(world, place), timeout=180, interval=1)


async def with_own_lattice(world: World, place: str) -> None:
    """A NATS hub and wadm for this journey alone, and the application deployed there."""
    await world.install_own(place, "nats")
    await world.install_own(place, "wadm")
    await world.apply_hosts(place, own=("nats-cluster",), hostReplicas=1)
    await world.hosts_ready(place)
    await world.admin.apply(hello(place))
    await world.admin.wait_for(APPLICATION, "hello-python", place, lambda seen: is_true(seen, "Synced"), timeout=180)
    assert await world.models(place, hub=place) == {"hello-python"}


async def wadm_has_it(world: World, place: str) -> bool:
    """Whether wadm has the application; it may be ready a moment before it answers."""
    return await world.models(place, hub=place) == {"hello-python"}


async def no_wadm(world: World, place: str) -> bool:
    return "wadm" not in {name.partition("-")[0] for name in names(await world.admin.list("v1/Pod", place))}


async def one_left_in_wadm(world: World, place: str) -> bool:
    """Whether the operator has left one application of a lattice in wadm: its metric says so, and its log names it."""
    log = await world.operator_log()
    lines = [line for line in log.splitlines() if "application left in wadm" in line]
    assert any(f"{place}/hello-python" in line for line in lines), log[-3000:]
    wanted = f'wasmcloud_operator_applications_left_in_wadm_total{{lattice="{place}"}} '
    samples = (await world.metrics()).splitlines()
    left = sum(float(sample.removeprefix(wanted)) for sample in samples if sample.startswith(wanted))
    assert left == 1, f"{left} applications left in wadm by the metric"
    return True


async def event_of(world: World, place: str, reason: str) -> bool:
    events = await world.admin.list("events.k8s.io/v1/Event", place)
    return reason in {event["reason"] for event in events}
