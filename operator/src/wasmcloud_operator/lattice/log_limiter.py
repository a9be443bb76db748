"""Keeps an error that repeats from filling the log."""

from __future__ import annotations

from collections.abc import Callable

_INTERVAL_SECONDS = 60.0
_REMEMBERED = 64


class LogLimiter:
    """Decides whether a message may be logged now: each text once a minute, with a count of those left out.

    `monotonic` returns seconds. Of the texts that are remembered the oldest goes first.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._last: dict[str, tuple[float, int]] = {}

    def admit(self, text: str) -> int | None:
        """None: keep quiet. A number: log it; so many equal ones were left out since the last time."""
        now = self._monotonic()
        at, left_out = self._last.get(text, (-_INTERVAL_SECONDS, 0))
        if text in self._last and now - at < _INTERVAL_SECONDS:
            self._last[text] = (at, left_out + 1)
            return None
        self._last.pop(text, None)
        if len(self._last) >= _REMEMBERED:
            del self._last[next(iter(self._last))]
        self._last[text] = (now, 0)
        return left_out
