"""A bound on how much of the event loop one connection takes."""

from __future__ import annotations

from types import TracebackType

from wasmcloud_operator.base.clock import Clock

_SLICE = 0.02  # seconds of work between two pauses
_PAUSE_LIMIT = 1.0
_SHARE = 0.2  # of all time
_PAUSE_FACTOR = 1 / _SHARE - 1


class Pace:
    """Counts the time spent on what one server sends, and pauses reading so that it stays below a fifth of all time.

    While reading pauses, TCP holds the server back: without it a server that sends without end, or many small frames,
    would leave little of the loop to other lattices and to the probes. Use it as `with pace: handle(...)` around work
    that does not wait, and `await pace.rest()` between two reads.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = 0.0
        self._spent = 0.0

    def __repr__(self) -> str:
        return f"<Pace {self._spent:.3f} s since the last pause>"

    def __enter__(self) -> None:
        self._began = self._clock.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spent += self._clock.monotonic() - self._began

    async def rest(self) -> None:
        """Let others run; for longer the more was spent since the last pause."""
        if self._spent < _SLICE:
            await self._clock.sleep(0)
            return
        pause = min(self._spent * _PAUSE_FACTOR, _PAUSE_LIMIT)
        self._spent = 0.0
        await self._clock.sleep(pause)
