"""Waiting for a condition, with a deadline and an error that shows what was seen last."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar, overload

T = TypeVar("T")


class NeverHappened(AssertionError):
    """The condition did not hold within its deadline; the text has the last value or the last error seen."""


@overload
async def eventually(
    predicate: Callable[[], Awaitable[T]], *, timeout: float = ..., interval: float = ..., message: str = ...
) -> T: ...
@overload
async def eventually(
    predicate: Callable[[], T], *, timeout: float = ..., interval: float = ..., message: str = ...
) -> T: ...
async def eventually(
    predicate: Callable[[], T | Awaitable[T]],
    *,
    timeout: float = 60.0,
    interval: float = 0.05,
    message: str = "",
) -> T:
    """The first truthy value that `predicate` (plain or async) returns.

    `timeout` and `interval` are seconds. An exception of the predicate counts as "not yet", so `assert` may be used in
    it. Raises `NeverHappened` at the deadline, also when a single call of the predicate hangs until then.
    """
    started = time.monotonic()
    last = "the condition was never evaluated to its end"
    cause: Exception | None = None
    while True:
        try:
            async with asyncio.timeout(max(0.0, started + timeout - time.monotonic())):
                value = await _value_of(predicate)
            if value:
                return value
            last, cause = f"last value: {_short(value)}", None
        except Exception as error:  # noqa: BLE001 - shown in NeverHappened when it stays
            if not isinstance(error, TimeoutError) or cause is None:
                last, cause = f"last error: {type(error).__name__}: {_short(error)}", error
        if time.monotonic() - started + interval > timeout:
            what = message or getattr(predicate, "__qualname__", repr(predicate))
            never = NeverHappened(f"not within {timeout:g} s: {what}; {last}")
            if cause is None:
                raise never  # not `from None`: what failed before a clean-up that fails too is to be seen
            raise never from cause
        await asyncio.sleep(interval)


async def _value_of(predicate: Callable[[], T | Awaitable[T]]) -> T:
    value = predicate()
    if inspect.isawaitable(value):
        return await value
    return value


def _short(value: object) -> str:
    text = str(value) if isinstance(value, Exception) else repr(value)
    return text if len(text) <= 2000 else f"{text[:2000]}… ({len(text)} characters)"


@contextlib.asynccontextmanager
async def in_one_task(context: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """The context, entered and left in a task of its own.

    For fixtures of anything with a TaskGroup inside: pytest-asyncio sets a fixture up and tears it down in two tasks,
    and a TaskGroup that is left by another task than the one that entered it can wait for ever.
    """
    entered: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    leave = asyncio.Event()

    async def hold() -> None:
        async with context as value:
            entered.set_result(value)
            await leave.wait()

    task = asyncio.create_task(hold())
    await asyncio.wait({task, entered}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    try:
        yield entered.result()
    finally:
        leave.set()
        await task
