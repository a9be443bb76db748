"""An event loop whose time jumps to the next timer as soon as nothing else is left to do."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

_START = datetime(2026, 1, 1, tzinfo=UTC)


class NothingToDo(Exception):
    """Everybody waits, and no timer is set: a deadlock."""


class _Selector(selectors.DefaultSelector):
    """Waits for nobody: whatever the loop would sleep is added to its time."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise NothingToDo
        self.loop.elapsed += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs as fast as it can; an hour in which little happens is over at once. It knows no files and no sockets."""

    def __init__(self) -> None:
        selector = _Selector()
        super().__init__(selector)
        selector.loop = self
        self.elapsed = 0.0

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self.elapsed


class LoopClock:
    """The time of the running loop as a clock of the operator's."""

    def monotonic(self) -> float:
        """Seconds since the loop was made."""
        return asyncio.get_running_loop().time()

    def now(self) -> datetime:
        """A fixed start and the loop's time."""
        return _START + timedelta(seconds=self.monotonic())

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running loop."""
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Schedule on the running loop."""
        return asyncio.get_running_loop().call_later(seconds, callback)

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[asyncio.Timeout]:
        """`asyncio.timeout`."""
        return asyncio.timeout(seconds)
