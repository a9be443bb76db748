"""Waiting for a condition, with a deadline and an error that shows what was seen last."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
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
    timeout: float = 10.0,
    interval: float = 0.05,
    message: str = "",
) -> T:
    """The first truthy value that `predicate` (plain or async) gives.

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
            raise NeverHappened(f"not within {timeout:g} s: {what}; {last}") from cause
        await asyncio.sleep(interval)


async def _value_of(predicate: Callable[[], T | Awaitable[T]]) -> T:
    value = predicate()
    if inspect.isawaitable(value):
        return await value
    return value


def _short(value: object) -> str:
    text = str(value) if isinstance(value, Exception) else repr(value)
    return text if len(text) <= 2000 else f"{text[:2000]}… ({len(text)} characters)"
