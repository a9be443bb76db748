"""Nodes that go: a drained one costs no request, and one that vanishes is made up for."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from e2ereport import Notes
from e2etogether import together
from e2eworld import CONTROL_PLANE, GREETING, POOL, World, names, url
from test_e2e_change import load, two_serve

from testbed import eventually
from testbed.admin import ApiError, Object, is_true

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


@pytest.mark.takes_nodes_away
@pytest.mark.journey("2 a node that vanishes: its host is replaced, and the application answers on")
@together("side_by_side", alone=True)
async def test_a_vanished_node_is_made_up_for(world: World, place: str, notes: Notes) -> None:
    await two_serve(world, place)
    nodes = await world.admin.list("v1/Node")
    (lost,) = [node["metadata"]["name"] for node in nodes if CONTROL_PLANE not in node["metadata"]["labels"]]
    (pod,) = [one["metadata"]["name"] for one in await world.host_pods(place) if one["spec"]["nodeName"] == lost]
    async with vanished(world, lost):
        started = time.monotonic()
        await eventually(lambda: not_served_by(world, place, pod), timeout=240, interval=0.5)
        notes.add(f"no traffic to it after {time.monotonic() - started:.1f} s")
        for _ in range(20):
            assert await world.get(url(place)) == GREETING
        # as the controller of a cloud does with the machine that is gone
        await world.admin.delete("v1/Node", lost)
        await eventually(lambda: moved(world, place, pod, lost), timeout=300, interval=0.5)
        await world.hosts_ready(place)
        notes.add(f"two hosts again after {time.monotonic() - started:.1f} s")


@contextlib.asynccontextmanager
async def vanished(world: World, node: str) -> AsyncIterator[None]:
    """All of the node stands still, and answers nobody; at the end it is back as a new one."""
    docker = world.cluster.docker
    assert docker is not None
    await docker("pause", node)
    try:
        yield
    finally:
        await docker("unpause", node)
        await docker("exec", node, "systemctl", "restart", "kubelet")
        await world.admin.wait_for("v1/Node", node, None, lambda found: found and is_true(found, "Ready"), timeout=180)


async def not_served_by(world: World, namespace: str, pod: str) -> bool:
    serving = await world.serving(namespace, "hello-python")
    return bool(serving) and pod not in serving


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
