"""A node that is drained: where a pool has hosts on several nodes, no request is lost."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from e2ereport import Notes
from e2etogether import together
from e2eworld import POOL, World, names
from test_e2e_change import load, two_serve

from testbed import eventually
from testbed.admin import ApiError, Object

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.several_nodes]


@pytest.mark.journey("2 a drained node under constant load: its hosts move, the budget holds")
@together("side_by_side")
async def test_a_drained_node_loses_no_request(world: World, place: str, notes: Notes) -> None:
    before = await two_serve(world, place)
    nodes = {pod["spec"]["nodeName"]: pod["metadata"]["name"] for pod in await world.host_pods(place)}
    assert len(nodes) == 2, f"the hosts are not spread: {nodes}"
    async with load(world, place, notes):
        asks = (await world.admin.get("v1/Pod", "load", place))["spec"]["nodeName"]
        drained, pod = next((node, pod) for node, pod in nodes.items() if node != asks)
        async with cordoned(world, drained):
            started = time.monotonic()
            await evict(world, place, pod)
            # what `kubectl drain` of the other node would meet at that moment
            with pytest.raises(ApiError, match="disruption budget"):
                await evict(world, place, next(iter(before - {pod})))
            await eventually(lambda: moved(world, place, pod, drained), timeout=240, interval=0.5)
            await world.hosts_ready(place)
            notes.add(f"moved in {time.monotonic() - started:.1f} s")


@contextlib.asynccontextmanager
async def cordoned(world: World, node: str) -> AsyncIterator[None]:
    await world.cluster.kubectl("cordon", node)
    try:
        yield
    finally:
        await world.cluster.kubectl("uncordon", node)


async def evict(world: World, namespace: str, pod: str) -> None:
    """Have a pod go as a drain does it. Raises ApiError where a budget forbids that."""
    path = await world.admin.path("v1/Pod", namespace, f"{pod}/eviction")
    metadata = {"name": pod, "namespace": namespace}
    await world.admin.request("POST", path, {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata})


async def moved(world: World, namespace: str, gone: str, drained: str) -> bool:
    """Whether two hosts serve, none of them on the drained node."""
    pods: list[Object] = await world.host_pods(namespace, POOL)
    elsewhere = all(pod["spec"].get("nodeName") not in (None, drained) for pod in pods)
    return len(pods) == 2 and gone not in names(pods) and elsewhere and await world.all_serve(namespace)
