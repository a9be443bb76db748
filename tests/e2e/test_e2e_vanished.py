"""A node that vanishes with the host on it, as spot machines do: another host takes its place."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from e2ereport import Notes
from e2etogether import together
from e2eworld import CONTROL_PLANE, GREETING, World, url
from test_e2e_change import two_serve
from test_e2e_nodes import moved

from testbed import eventually
from testbed.admin import is_true

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.several_nodes]


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
        await eventually(lambda: always_answers(world, place), timeout=180)  # kube-proxy follows in its own time
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


async def always_answers(world: World, namespace: str) -> bool:
    """Whether twenty requests in a row are answered; a request to a host that is gone takes three seconds to fail."""
    return {await world.get(url(namespace)) for _ in range(20)} == {GREETING}


async def not_served_by(world: World, namespace: str, pod: str) -> bool:
    serving = await world.serving(namespace, "hello-python")
    return bool(serving) and pod not in serving
