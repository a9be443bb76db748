"""Time that only moves when a test moves it."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta

from wasmcloud_operator.base.clock import Deadline, TimerHandle

# Turns of the loop in which everything that is ready is taken to have run; longer chains of awaits are rare.
_TURNS = 40


class _Timer:
    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Call the timer off."""
        self.callback = None


class VirtualClock:
    """A `base.clock.Clock` that stands still until `advance`.

    Timers fire one after the other in the order in which they are due, each at its own time, with the loop left to
    settle in between; what they schedule within the span fires too.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed = 0.0
        self._number = 0
        self._timers: list[tuple[float, int, _Timer]] = []

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._elapsed

    def now(self) -> datetime:
        """The start plus the seconds that were advanced."""
        return self._start + timedelta(seconds=self._elapsed)

    async def sleep(self, seconds: float) -> None:
        """Return once the clock was advanced so far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        timer = self.call_later(seconds, lambda: None if woken.done() else woken.set_result(None))
        try:
            await woken
        finally:
            timer.cancel()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> TimerHandle:
        """Call once the clock was advanced so far."""
        timer = _Timer(self._elapsed + max(0.0, seconds), callback)
        self._number += 1
        heapq.heappush(self._timers, (timer.when, self._number, timer))
        return timer

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[Deadline]:
        """`asyncio.timeout` on this clock; `reschedule` takes this clock's monotonic time."""
        return self._timeout(seconds)

    @asynccontextmanager
    async def _timeout(self, seconds: float | None) -> AsyncIterator[Deadline]:
        # asyncio.Timeout does the cancelling, and distinguishes a cancellation from outside from its own.
        async with asyncio.timeout(None) as inner:
            deadline = _Deadline(self, inner)
            deadline.reschedule(None if seconds is None else self._elapsed + seconds)
            try:
                yield deadline
            finally:
                deadline.reschedule(None)

    async def advance(self, seconds: float) -> None:
        """Let so much time pass, and everything happen that is due in it."""
        until = self._elapsed + seconds
        await self.settle()
        while (timer := self._next(until)) is not None:
            await self._fire(timer)
        self._elapsed = until
        await self.settle()

    async def settle(self) -> None:
        """Let all run that can without time passing."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    async def until(self, condition: Callable[[], bool], *, within: float = 600.0) -> float:
        """Advance from timer to timer until the condition holds. Returns the seconds that passed.

        Raises AssertionError if it does not hold within so many seconds of this clock.
        """
        start = self._elapsed
        await self.settle()
        while not condition():
            timer = self._next(start + within)
            if timer is None:
                raise AssertionError(f"the condition did not come to hold within {within} s")
            await self._fire(timer)
        return self._elapsed - start

    async def _fire(self, timer: _Timer) -> None:
        self._elapsed = max(self._elapsed, timer.when)
        if timer.callback is not None:
            timer.callback()
            await self.settle()

    def _next(self, until: float) -> _Timer | None:
        if not self._timers or self._timers[0][0] > until:
            return None
        return heapq.heappop(self._timers)[2]


class _Deadline:
    def __init__(self, clock: VirtualClock, inner: asyncio.Timeout) -> None:
        self._clock = clock
        self._inner = inner
        self._timer: TimerHandle | None = None

    def expired(self) -> bool:
        """Whether the deadline has passed and cancelled the scope."""
        return self._inner.expired()

    def reschedule(self, when: float | None) -> None:
        """Move the deadline to `when` on the virtual clock; None takes it away."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if when is not None:
            self._timer = self._clock.call_later(when - self._clock.monotonic(), self._expire)

    def _expire(self) -> None:
        self._inner.reschedule(asyncio.get_running_loop().time() - 1)
