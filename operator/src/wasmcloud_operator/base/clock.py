"""Time as a parameter: the system's clock, and the protocol that a virtual one satisfies in tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Protocol


class TimerHandle(Protocol):
    """What `Clock.call_later` returns: a timer that can be called off."""

    def cancel(self) -> None:
        """Call the timer off; harmless when it has fired."""


class Deadline(Protocol):
    """The part of `asyncio.Timeout` that its users need after leaving or while inside the scope."""

    def expired(self) -> bool:
        """Whether the deadline has passed and cancelled the scope."""

    def reschedule(self, when: float | None) -> None:
        """Move the deadline to `when`, in the loop's time; None takes it away."""


class Clock(Protocol):
    """Reads and waits for time. Durations are in seconds."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back; only differences mean something."""

    def now(self) -> datetime:
        """The wall clock, in UTC."""

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> TimerHandle:
        """Call `callback` on the loop after so many seconds."""

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[Deadline]:
        """A scope that is cancelled, and raises TimeoutError, after so many seconds; None never is."""


async def sleep_unless(event: asyncio.Event, clock: Clock, seconds: float) -> None:
    """Return after so many seconds, or when the event is set."""
    waits = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(clock.sleep(seconds))]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


class SystemClock:
    """The real time, through the running asyncio loop."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start."""
        return time.monotonic()

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running loop."""
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> TimerHandle:
        """Schedule on the running loop."""
        return asyncio.get_running_loop().call_later(seconds, callback)

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[Deadline]:
        """`asyncio.timeout`."""
        return asyncio.timeout(seconds)


SYSTEM_CLOCK = SystemClock()
