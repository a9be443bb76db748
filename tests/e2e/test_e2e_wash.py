"""An application that came over NATS, as `wash app deploy` brings it: no resource of it, but a Service."""

from __future__ import annotations

import time

import pytest
from e2ereport import Notes
from e2etogether import together
from e2everdicts import APPLICATION
from e2eworld import GREETING, World, hello, url

from testbed import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.journey("8 wash over NATS: a Service without an Application")
@together("side_by_side")
async def test_a_service_appears(world: World, place: str, notes: Notes) -> None:
    await world.apply_hosts(place, hostReplicas=1)
    await world.hosts_ready(place)
    manifest = hello(place, name="from-wash")
    manifest["metadata"].pop("namespace")

    started = time.monotonic()
    assert (await world.ask_wadm(place, "put", manifest))["result"] == "created"
    assert (await world.ask_wadm(place, "deploy.from-wash", {}))["result"] == "acknowledged"
    assert await world.answers(url(place, service="from-wash")) == GREETING
    notes.add(f"answered {time.monotonic() - started:.1f} s after the deploy")
    assert await world.admin.list(APPLICATION, place) == []

    assert (await world.ask_wadm(place, "del.from-wash", {}))["result"] == "deleted"
    await eventually(lambda: no_service(world, place), timeout=180, interval=0.5)


async def no_service(world: World, namespace: str) -> bool:
    return await world.admin.find("v1/Service", "from-wash", namespace) is None
