from __future__ import annotations

import asyncio

import pytest

from testbed import NeverHappened, eventually


async def test_gives_the_first_true_value_of_a_plain_or_an_async_predicate() -> None:
    values = iter([0, None, "", "there"])

    async def asynchronous() -> int:
        return 7

    assert await eventually(lambda: next(values), interval=0) == "there"
    assert await eventually(asynchronous) == 7


async def test_an_error_means_not_yet() -> None:
    attempts: list[int] = []

    def holds_at_the_third_attempt() -> bool:
        attempts.append(1)
        assert len(attempts) == 3
        return True

    assert await eventually(holds_at_the_third_attempt, interval=0)


async def test_the_error_shows_the_last_value() -> None:
    with pytest.raises(NeverHappened, match=r"not within 0.05 s: three pods; last value: \[\]"):
        await eventually(list, timeout=0.05, interval=0.01, message="three pods")


async def test_the_error_shows_the_last_error_as_its_cause() -> None:
    def fails() -> bool:
        raise KeyError("status")

    with pytest.raises(NeverHappened, match="last error: KeyError: 'status'") as caught:
        await eventually(fails, timeout=0.05, interval=0.01)
    assert isinstance(caught.value.__cause__, KeyError)


async def test_a_call_that_hangs_ends_at_the_deadline() -> None:
    async def hangs() -> bool:
        await asyncio.Event().wait()
        return True

    async with asyncio.timeout(5):
        with pytest.raises(NeverHappened):
            await eventually(hangs, timeout=0.05)


async def test_cancelling_is_not_an_error_of_the_predicate() -> None:
    task = asyncio.create_task(eventually(lambda: False, timeout=60))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
