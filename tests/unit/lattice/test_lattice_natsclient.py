"""One nats-py client: a task that is cancelled ends, whatever comes with it; what a server sends costs little."""

from __future__ import annotations

import asyncio

import pytest
from nats import errors as nats_errors
from nats.aio.client import Client

from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.lattice import natsclient
from wasmcloud_operator.lattice.bounded_client import BoundedClient
from wasmcloud_operator.lattice.pace import LoopShare, Pace


@pytest.mark.parametrize("error", [None, nats_errors.NoRespondersError()], ids=["answer", "error"])
async def test_a_cancellation_that_comes_with_the_answer_is_not_lost(error):
    answer = asyncio.get_running_loop().create_future()
    asking = asyncio.create_task(natsclient.sent(Client(), asyncio.wait_for(answer, 5), b""))
    await asyncio.sleep(0)
    if error is None:
        answer.set_result(b"")
    else:
        answer.set_exception(error)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_an_answer_without_a_cancellation_is_given():
    answer = asyncio.get_running_loop().create_future()
    answer.set_result(b"answer")
    assert await natsclient.sent(Client(), asyncio.wait_for(answer, 5), b"") == b"answer"


async def test_all_pings_that_arrive_at_once_have_one_answer():
    clock = VirtualClock()
    client = BoundedClient(Pace(clock, LoopShare.of_all(clock)), tls=False)
    client._transport = transport = Written()
    client._status = Client.CONNECTED
    client._flush_queue = asyncio.Queue()
    client._flusher_task = asyncio.create_task(client._flusher())
    for _ in range(3):
        await client._ps.parse(b"PING\r\n" * 100)
        await transport.drained.wait()
        transport.drained.clear()
    client._flusher_task.cancel()
    assert transport.lines == [b"PONG\r\n"] * 3


class Written:
    """A transport that takes everything."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.drained = asyncio.Event()

    def writelines(self, lines: list[bytes]) -> None:
        self.lines += lines

    async def drain(self) -> None:
        self.drained.set()
