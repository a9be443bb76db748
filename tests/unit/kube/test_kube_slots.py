"""Connections shared by namespaces: none keeps another, or the Lease, from the API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support.kube.objects import WIDGET, widget
from testbed import eventually
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.kube.client import Reader, Writer
from wasmcloud_operator.kube.credentials import Credentials
from wasmcloud_operator.kube.errors import NoConnectionFree, WritesForbidden
from wasmcloud_operator.kube.resources import LEASE
from wasmcloud_operator.kube.slots import Slots
from wasmcloud_operator.kube.testing import NoAnswer, ScriptedApi, ScriptedApiServer
from wasmcloud_operator.kube.transport import ConnectionOptions, Transport
from wasmcloud_operator.kube.turns import Shares


class Holders:
    """Requests that hold their slot until they are let go, and the order in which they got it."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.served: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.ends: dict[str, asyncio.Event] = {}

    async def ask(self, *names: str) -> None:
        """Each name's first letter is its namespace."""
        for name in names:
            self.ends[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._hold(name))
        await self.settle()

    async def let_go(self, name: str) -> None:
        self.ends[name].set()
        await self.settle()

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def _hold(self, name: str) -> None:
        async with self.slots.hold(name[0], f"GET /{name}"):
            self.served.append(name)
            await self.ends[name].wait()


@pytest.fixture
async def holders():
    made = Holders(Slots(Shares(limit=2, spare=2, share=1)))
    yield made
    for task in made.tasks.values():
        task.cancel()
    await asyncio.gather(*made.tasks.values(), return_exceptions=True)


async def test_a_namespace_fills_the_limit_and_leaves_the_spare_ones_to_others(holders):
    await holders.ask("a1", "a2", "a3", "b1", "b2", "c1")
    assert holders.served == ["a1", "a2", "b1", "c1"]
    await holders.let_go("b1")
    assert holders.served[4:] == ["b2"]
    await holders.let_go("a1")
    await holders.let_go("c1")
    await holders.let_go("a2")
    assert holders.served[5:] == ["a3"]


async def test_a_request_that_is_called_off_gives_its_turn_to_the_next(holders):
    await holders.ask("a1", "a2", "a3", "a4")
    holders.tasks["a3"].cancel()
    await holders.settle()
    await holders.let_go("a1")
    assert holders.served == ["a1", "a2", "a4"]


async def test_a_slot_that_was_handed_to_a_request_that_is_called_off_is_free_again(holders):
    await holders.ask("a1", "a2", "a3", "a4")
    holders.ends["a1"].set()
    await asyncio.sleep(0)  # a1 ends and hands its slot to a3, which has not run yet
    holders.tasks["a3"].cancel()
    await holders.settle()
    assert holders.served[-1] == "a4"


async def test_waiting_for_a_connection_has_its_own_deadline_and_its_own_words():
    slots = Slots(Shares(limit=1), wait_seconds=0.05)
    async with slots.hold("team", "GET /a"):
        with pytest.raises(NoConnectionFree) as caught:
            async with slots.hold("team", "PATCH /b"):
                pytest.fail("there is one slot")
    assert str(caught.value) == (
        "PATCH /b: no connection to the API server became free within 0.05 s (1 in use, 1 of them for namespace team)"
    )
    async with slots.hold("team", "GET /c"):
        pass


@asynccontextmanager
async def connected(api: ScriptedApi, folder: Path, **options) -> AsyncIterator[Transport]:
    async with ScriptedApiServer.serve(api) as server:
        credentials = Credentials(kubeconfig=server.kubeconfig(folder / "kubeconfig"))
        async with Transport.open(ConnectionOptions(credentials=credentials, **options)) as transport:
            yield transport


async def test_the_lease_has_a_connection_of_its_own(tmp_path):
    """All connections of the calls are taken by writes that hang, as they do behind a slow webhook."""
    api = ScriptedApi()
    lease = {"metadata": {"name": "leader", "namespace": "system"}, "spec": {}}
    async with connected(api, tmp_path, max_connections=4) as transport:
        client = Writer(Reader(transport), field_manager="tests", gate=AlwaysOpen())
        reserved = Writer(Reader(transport.reserved()), field_manager="tests", gate=AlwaysOpen())
        api.fail(*(NoAnswer("write") for _ in range(4)))
        hanging = [asyncio.create_task(client.create(WIDGET, widget(f"w{n}"), namespace="ns")) for n in range(8)]
        await eventually(lambda: len(api.requests) == 4)
        async with asyncio.timeout(4):
            await reserved.create(LEASE, lease, namespace="system")
        assert len(api.requests) == 5
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)


async def test_another_namespace_is_served_while_one_waits_for_its_webhook(tmp_path):
    api = ScriptedApi()
    async with connected(api, tmp_path, max_connections=8) as transport:
        client = Writer(Reader(transport, slots=Slots(Shares.within(8))), field_manager="tests", gate=AlwaysOpen())
        api.fail(*(NoAnswer("write") for _ in range(6)))
        slow = [asyncio.create_task(client.create(WIDGET, widget(f"w{n}"), namespace="slow")) for n in range(20)]
        await eventually(lambda: len(api.requests) == 6)
        async with asyncio.timeout(4):
            await client.create(WIDGET, widget("a", namespace="friendly"), namespace="friendly")
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)


async def test_the_gate_is_asked_after_the_wait_for_a_connection(tmp_path):
    class Gate:
        seconds = 10.0

        def remaining(self) -> float:
            return self.seconds

    gate, slots = Gate(), Slots(Shares(limit=1))
    api = ScriptedApi()
    async with connected(api, tmp_path) as transport:
        client = Writer(Reader(transport, slots=slots), field_manager="tests", gate=gate)
        async with slots.hold("ns", "another"):
            writing = asyncio.create_task(client.create(WIDGET, widget("a"), namespace="ns"))
            await asyncio.sleep(0)
            gate.seconds = 0.0  # the lease goes while the write waits
        with pytest.raises(WritesForbidden):
            await writing
    assert api.requests == []
