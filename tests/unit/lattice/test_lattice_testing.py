"""The scripted NATS, wadm and hosts, which others' tests stand on: what they do when all is well, and their faults."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from model.virtualloop import LoopClock, VirtualLoop
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.lattice.connection import Connection
from wasmcloud_operator.lattice.connection_pool import ConnectionPool
from wasmcloud_operator.lattice.errors import AnswerLost, LatticeUnavailable, NoResponders
from wasmcloud_operator.lattice.spec import ConnectionSpec
from wasmcloud_operator.lattice.testing import ScriptedHost, ScriptedNats, ScriptedNetwork, ScriptedWadm
from wasmcloud_operator.lattice.wadm import WadmWriter

PAGE = Path(__file__).parents[3] / "docs" / "testing.md"
ADDRESS = "nats://hub:4222"
MANIFEST: dict[str, Any] = {
    "metadata": {"name": "shop", "annotations": {"version": "v1"}},
    "spec": {"components": [{"name": "http", "type": "capability", "properties": {"image": "x/http:1"}}]},
}


def play(scene: Callable[[ScriptedNats, Connection], Awaitable[None]]) -> None:
    """Run a scene on a connection to a scripted server, in virtual time."""

    async def played() -> None:
        nats = ScriptedNats("hub")
        network = ScriptedNetwork({ADDRESS: nats})
        async with ConnectionPool(clock=LoopClock(), new_client=network.new_client) as pool:
            with pool.acquire(ConnectionSpec(("nats://user:secret@hub:4222",))) as connection:
                await scene(nats, connection)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(played())


def test_a_request_is_answered_by_who_listens_and_refused_where_nobody_does() -> None:
    async def scene(nats: ScriptedNats, connection: Connection) -> None:
        async def echo(message: Any) -> None:
            nats.publish(message.reply, message.data)

        echoing = nats.subscribe("echo.*", echo)
        assert await connection.request("echo.a", b"1", timeout=1) == b"1"
        assert await connection.request_many("echo.a", b"2", timeout=1) == (b"2",)
        echoing.end()
        with pytest.raises(NoResponders):
            await connection.request("echo.a", b"3", timeout=1)
        assert await connection.request_many("echo.a", b"4", timeout=1) == ()

    play(scene)


def test_a_silent_server_loses_answers_and_is_given_up_by_its_pings() -> None:
    async def scene(nats: ScriptedNats, connection: Connection) -> None:
        await connection.request("$SYS.REQ.USER.INFO", timeout=1)
        nats.silent = True
        with pytest.raises(AnswerLost):
            await connection.request("anything", timeout=1)
        await asyncio.sleep(60)
        assert not connection.state.connected
        nats.start()
        await asyncio.sleep(30)
        assert connection.state.connected

    play(scene)


def test_a_server_that_comes_back_is_another_one_to_which_subscriptions_are_made_again() -> None:
    async def scene(nats: ScriptedNats, connection: Connection) -> None:
        heard: list[bytes] = []
        await connection.subscribe("news.>", lambda message: heard.append(message.data))
        await connection.request("$SYS.REQ.USER.INFO", timeout=1)
        first = connection.server
        nats.stop()
        await asyncio.sleep(1)
        with pytest.raises(LatticeUnavailable):
            await connection.request("anything", timeout=1)
        nats.start()
        await asyncio.sleep(30)
        assert connection.server not in (first, None)
        nats.publish("news.of.it", b"again")
        await asyncio.sleep(1)
        assert heard == [b"again"]

    play(scene)


def test_wadm_places_what_is_deployed_on_a_host_and_takes_it_back() -> None:
    async def scene(nats: ScriptedNats, connection: Connection) -> None:
        wadm, host = ScriptedWadm(nats), ScriptedHost("NHOST", "default", {}, nats)
        wadm.start()
        host.start()
        wadm.hosts.append(host)
        writer = WadmWriter(connection, "default", gate=AlwaysOpen())
        await writer.put(MANIFEST)
        await writer.deploy("shop")
        await asyncio.sleep(1)
        assert list(host.providers) == ["shop-http"]
        assert [(model.name, model.deployed_version) for model in await writer.list()] == [("shop", "v1")]
        await writer.undeploy("shop")
        await asyncio.sleep(1)
        assert host.providers == {}
        wadm.wipe()
        assert await writer.list() == ()
        host.stop()

    play(scene)


def test_an_answer_that_wadm_loses_belongs_to_a_write_that_was_done() -> None:
    async def scene(nats: ScriptedNats, connection: Connection) -> None:
        wadm = ScriptedWadm(nats, swallow=1.0)
        wadm.start()
        with pytest.raises(AnswerLost):
            await connection.request("wadm.api.default.model.put", json.dumps(MANIFEST).encode(), timeout=1)
        assert list(wadm.models("default")) == ["shop"]

    play(scene)


def test_the_pages_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        exec(compile(example, str(PAGE), "exec"), {})
    assert capsys.readouterr().out.splitlines()[0] == "the second request was refused"
