"""One nats-py client: a task that is cancelled ends, whatever comes at the same moment."""

from __future__ import annotations

import asyncio

import pytest
from nats import errors as nats_errors
from nats.aio.client import Client

from wasmcloud_operator.lattice import natsclient


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
