"""A bound on how much of the event loop one connection takes."""

from __future__ import annotations

from types import TracebackType

from wasmcloud_operator.base.clock import Clock

_SHARE = 0.2  # of all time
_BURST = 1.0  # seconds of work without a pause, after five seconds of silence
_SLICE = 0.02  # seconds of work between two pauses
_PAUSE_LIMIT = 1.0
_SPENT_LIMIT = _BURST + _SHARE * _PAUSE_LIMIT


class Pace:
    """Counts the time spent on what one server sends, and pauses reading once that stays above a fifth of all time.

    While reading pauses, TCP holds the server back: without it a server that sends without end, or many small frames,
    would leave little of the loop to other lattices and to the probes. A burst is read at once: all hosts of a large
    lattice report in the same second. Use it as `with pace: handle(...)` around work that does not wait, and
    `await pace.rest()` between two reads.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = 0.0
        self._spent = 0.0  # seconds of work, less the share of the time that has passed since
        self._counted_at = clock.monotonic()

    def __repr__(self) -> str:
        return f"<Pace {self._spent:.3f} s above its share>"

    def __enter__(self) -> None:
        self._began = self._clock.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spent += self._clock.monotonic() - self._began

    async def rest(self) -> None:
        """Let others run; for longer the more was spent above the share."""
        now = self._clock.monotonic()
        left = self._spent - _SHARE * (now - self._counted_at)
        # A process that was frozen amid a piece has not worked all that time.
        self._spent = min(max(left, 0.0), _SPENT_LIMIT)
        self._counted_at = now
        excess = self._spent - _BURST
        await self._clock.sleep(excess / _SHARE if excess >= _SLICE else 0)
