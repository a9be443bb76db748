"""Keeps an error that repeats from filling the log."""

from __future__ import annotations

from collections.abc import Callable


class LogLimiter:
    """Says whether a message may be logged now: each text once per `interval` seconds, with a count of those left out.

    `monotonic` returns seconds. At most 64 texts are remembered; the oldest goes first.
    """

    def __init__(self, monotonic: Callable[[], float], *, interval: float = 60.0) -> None:
        self._monotonic = monotonic
        self._interval = interval
        self._last: dict[str, tuple[float, int]] = {}

    def admit(self, text: str) -> int | None:
        """None: keep quiet. A number: log it; so many equal ones were left out since the last time."""
        now = self._monotonic()
        at, left_out = self._last.get(text, (-self._interval, 0))
        if text in self._last and now - at < self._interval:
            self._last[text] = (at, left_out + 1)
            return None
        self._last.pop(text, None)
        if len(self._last) >= 64:
            del self._last[next(iter(self._last))]
        self._last[text] = (now, 0)
        return left_out
