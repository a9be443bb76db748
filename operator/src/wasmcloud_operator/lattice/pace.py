"""Bounds on how much of the event loop NATS servers take: each connection, and all together."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from functools import partial
from types import TracebackType, coroutine
from typing import Any

from wasmcloud_operator.base.clock import Clock

_SHARE, _BURST = 0.2, 1.0
# Half as much again goes into what is not counted: system calls, buffers, TLS, connecting anew.
_SHARE_OF_ALL, _BURST_OF_ALL = 0.3, 2.0
_SLICE = 0.02  # seconds of work that a connection pays for at once
_SHORTEST_PAUSE = 0.1
_STEP_LIMIT = 0.5  # what one step counts at most: a process that was frozen meanwhile has not worked all that time


class LoopShare:
    """Seconds of work that may go on without a pause: a burst, and from then on a share of all time."""

    def __init__(self, clock: Clock, share: float, burst: float) -> None:
        self._clock = clock
        self._share = share
        self._burst = burst
        self._spent = 0.0  # seconds of work, less the share of the time that has passed since
        self._counted_at = clock.monotonic()

    def __repr__(self) -> str:
        return f"<LoopShare {self._spent:.3f} s above {self._share:.0%}>"

    @classmethod
    def of_all(cls, clock: Clock) -> LoopShare:
        """Returns what all connections have together: the larger part of the loop is left to everything else."""
        return cls(clock, _SHARE_OF_ALL, _BURST_OF_ALL)

    def spend(self, seconds: float) -> None:
        """Count so much work."""
        now = self._clock.monotonic()
        self._spent = max(0.0, self._spent - self._share * (now - self._counted_at)) + seconds
        self._counted_at = now

    def pause(self) -> float:
        """Returns the seconds without work after which a burst at most is above the share."""
        self.spend(0)
        return max(0.0, self._spent - self._burst) / self._share


class Pace:
    """Counts the time spent on what one server sends, and pauses reading once that stays above its share.

    While reading pauses, TCP holds the server back: without it a server that sends without end, or many small frames,
    would leave little of the loop to other lattices and to the probes. A burst is read at once: all hosts of a large
    lattice report in the same second. Of many servers each alone may stay below its share. Once all together are above
    theirs, each connection pauses after every slice of work, for longer the more was spent: however many there are,
    they take no more, each the same, and one with little to say has no pause for as long as a slice lasts it.

    Use it as `await pace.working(...)` or `with pace: ...` around the work, and `await pace.rest()` before each piece.
    """

    def __init__(self, clock: Clock, share_of_all: LoopShare) -> None:
        self._clock = clock
        self._own = LoopShare(clock, _SHARE, _BURST)
        self._all = share_of_all
        self._began = 0.0
        self._unpaid = 0.0  # seconds of work since the last pause

    def __repr__(self) -> str:
        return f"<Pace {self._own!r} of {self._all!r}>"

    def __enter__(self) -> None:
        self._began = self._clock.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = min(self._clock.monotonic() - self._began, _STEP_LIMIT)
        self._own.spend(seconds)
        self._all.spend(seconds)
        self._unpaid += seconds

    @coroutine
    def working(self, work: Coroutine[Any, Any, None]) -> Generator[Any, Any, None]:
        """Await `work`. Its own steps count, and not the time for which a server makes it wait: that takes nothing."""
        step: Callable[[], object] = partial(work.send, None)
        while True:
            with self:
                try:
                    awaited = step()
                except StopIteration:
                    return
            try:
                answer = yield awaited
            except BaseException as error:  # noqa: BLE001 - handed on
                step = partial(work.throw, error)
            else:
                step = partial(work.send, answer)

    async def rest(self) -> None:
        """Pause for as long as too much was spent, if it was. A pause that is cut short is due again."""
        pause = max(self._own.pause(), self._all.pause() if self._unpaid >= _SLICE else 0.0)
        if pause >= _SHORTEST_PAUSE:
            await self._clock.sleep(pause)
            self._unpaid = 0.0
