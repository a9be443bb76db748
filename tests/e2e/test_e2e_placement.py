"""Where an application runs is where its Service leads: host labels, one host of several, and after that host's end."""

from __future__ import annotations

import time

import pytest
from e2ereport import Notes
from e2etogether import together
from e2eworld import GREETING, World, hello, names, scaled, url

from testbed import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.journey("3 daemonscaler with host labels: only that pool's pods serve")
@together("side_by_side")
async def test_only_the_chosen_pool_serves(world: World, place: str, notes: Notes) -> None:
    await world.apply_hosts(place, hostReplicas=1, hostLabels={"pool": "front"})
    await world.apply_hosts(place, "back", hostReplicas=1, hostLabels={"pool": "back"})
    await world.hosts_ready(place)
    await world.hosts_ready(place, "back")
    front = names(await world.host_pods(place))
    assert len(front) == 1

    await world.admin.apply(scaled(hello(place), ("daemonscaler", "daemonscaler"), (5, 1), {"pool": "front"}))
    await world.application_ready(place)
    assert await world.answers(url(place)) == GREETING
    await eventually(lambda: serve_only(world, place, front), timeout=300, interval=0.5)
    notes.add("1 of 2 pods serves")


@pytest.mark.journey("3 spreadscaler on 1 of 3 hosts: traffic moves when it is killed")
@together("side_by_side")
async def test_traffic_moves(world: World, place: str, notes: Notes) -> None:
    await world.apply_hosts(place, hostReplicas=3)
    await world.hosts_ready(place)
    # the server on one host; the component on each, since the host's own HTTP server asks no other host's components
    kinds = ("daemonscaler", "spreadscaler")
    await world.admin.apply(scaled(hello(place), kinds, (5, 1), {"kubernetes": "true"}))
    await world.application_ready(place)
    await world.answers(url(place))
    serving = await eventually(lambda: only_one(world, place), timeout=180, interval=0.5)

    started = time.monotonic()
    await world.admin.delete("v1/Pod", serving, place, grace=0)
    await eventually(lambda: elsewhere(world, place, serving), timeout=180, interval=0.5)
    assert await world.answers(url(place)) == GREETING
    notes.add(f"traffic had moved after {time.monotonic() - started:.1f} s")


async def serve_only(world: World, namespace: str, pods: set[str]) -> bool:
    return await world.serving(namespace, "hello-python") == pods


async def only_one(world: World, namespace: str) -> str:
    (serving,) = await world.serving(namespace, "hello-python")
    return serving


async def elsewhere(world: World, namespace: str, before: str) -> bool:
    serving = await world.serving(namespace, "hello-python")
    return len(serving) == 1 and before not in serving
