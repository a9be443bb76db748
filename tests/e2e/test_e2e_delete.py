"""Deleting the application, the pool and the namespace, in every order: nothing hangs, and wadm is empty after it."""

from __future__ import annotations

import time

import pytest
from e2ereport import Notes
from e2eworld import APPLICATION, CONFIG, World, hello

from testbed import eventually, is_true
from testbed.admin import Object

pytestmark = pytest.mark.asyncio(loop_scope="session")
LONGEST = 120.0  # seconds: a minute to give up a wadm that is out of reach, and what pods take to stop

_STEPS = {
    "application": (APPLICATION, "hello-python"),
    "pool": (CONFIG, "my-wasmcloud-cluster"),
    "namespace": ("v1/Namespace", ""),
}


@pytest.mark.parametrize(
    "order",
    [
        ("application", "pool", "namespace"),
        ("pool", "application", "namespace"),
        ("namespace",),
        ("application", "namespace"),
        ("pool", "namespace"),
    ],
    ids=" then ".join,
)
@pytest.mark.journey("6 delete")
async def test_nothing_is_stuck(world: World, order: tuple[str, ...], notes: Notes) -> None:
    place = f"delete-{'-'.join(word[0] for word in order)}"
    await world.admin.create_namespace(place)
    await world.apply_hosts(place, hostReplicas=1)
    await world.apply_application(hello(place))
    await world.hosts_ready(place)
    await world.admin.wait_for(APPLICATION, "hello-python", place, lambda seen: is_true(seen, "Synced"), timeout=60)
    assert [model["name"] for model in await models(world, place)] == ["hello-python"]

    started = time.monotonic()
    for step in order:
        kind, name = _STEPS[step]
        # not waiting for one to be gone before the next is deleted: whoever deletes a file of manifests does not
        await world.admin.delete(kind, name or place, None if step == "namespace" else place)
    await world.admin.wait_for("v1/Namespace", place, None, lambda seen: seen is None, timeout=LONGEST)
    notes.add(f"{' → '.join(order)}: gone in {time.monotonic() - started:.1f} s")
    await eventually(lambda: empty(world, place), timeout=20, interval=1, message="wadm to be empty")


async def models(world: World, lattice: str) -> list[Object]:
    return (await world.ask_wadm(lattice, "get")).get("models") or []


async def empty(world: World, lattice: str) -> bool:
    return not await models(world, lattice)
