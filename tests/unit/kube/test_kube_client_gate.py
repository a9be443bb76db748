"""The gate before every write: nothing leaves the process once it may have closed; over real sockets on loopback."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path

import aiohttp
import pytest
from aiohttp.http_writer import StreamWriter

from support.kube.objects import WIDGET, key, widget
from support.kube.served import CALLS, WRITES, Served
from wasmcloud_operator import kube
from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.kube import errors
from wasmcloud_operator.kube.client import Writer
from wasmcloud_operator.kube.testing import NoAnswer


def test_the_gate_is_open_for_good_only_where_no_lease_is_shared():
    """The operator without leader election and the Lease itself; commands, which write for who calls them."""
    folder = Path(kube.__file__).parents[1]
    opened = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "AlwaysOpen":
                opened.add(str(path.relative_to(folder)))
    assert opened == {"operator.py", "commands/migrate.py", "commands/overview/screens.py"}


async def test_a_write_has_no_more_time_than_the_gate_leaves(served: Served):
    served.gate.seconds = 0.6
    served.api.fail(NoAnswer("write"))
    async with asyncio.timeout(60):
        with pytest.raises(errors.DeadlineExceeded):
            await served.client.create(WIDGET, widget("b"), namespace="ns")


@pytest.mark.parametrize("call", WRITES)
@pytest.mark.parametrize("seconds", [0.4, 0.0, -10.0, float("-inf")])
async def test_a_closed_gate_lets_no_write_out(served: Served, call: str, seconds: float):
    served.gate.seconds = seconds
    with pytest.raises(errors.WritesForbidden):
        await CALLS[call](served.client)
    assert served.api.requests == []
    await served.client.get(WIDGET, key("a"))  # reads are free


class Lease:
    """A gate that closes ten seconds after the start of the clock."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.valid_until = clock.monotonic() + 10

    def remaining(self) -> float:
        return self.valid_until - self.clock.monotonic()


@pytest.mark.parametrize("call", WRITES)
@pytest.mark.parametrize("reused", [False, True], ids=["a new connection", "one that was used before"])
async def test_a_process_frozen_between_connection_and_request_sends_no_write(
    served: Served, monkeypatch: pytest.MonkeyPatch, call: str, reused: bool
):
    if reused:
        await served.client.get(WIDGET, key("a"))
        served.api.requests.clear()
    clock = VirtualClock()
    client = Writer(served.client, field_manager="tests", gate=Lease(clock))
    connect = aiohttp.TCPConnector.connect

    async def frozen(*args, **named):
        connection = await connect(*args, **named)
        await clock.advance(20)  # as SIGSTOP, or a node that stands still
        return connection

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", frozen)
    with pytest.raises(errors.WritesForbidden):
        await CALLS[call](client)
    assert served.api.requests == []
    await client.get(WIDGET, key("a"))  # reads are free
    assert [request.method for request in served.api.requests] == ["GET"]


@pytest.mark.parametrize("call", WRITES)
async def test_a_process_frozen_between_headers_and_body_sends_neither(
    served: Served, monkeypatch: pytest.MonkeyPatch, call: str
):
    clock = VirtualClock()
    write_headers = StreamWriter.write_headers

    async def frozen(*args, **named):
        await write_headers(*args, **named)
        await clock.advance(20)

    monkeypatch.setattr(StreamWriter, "write_headers", frozen)
    with pytest.raises(errors.WritesForbidden):
        await CALLS[call](Writer(served.client, field_manager="tests", gate=Lease(clock)))
    assert served.api.requests == []
