"""How long to wait after a failure."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from wasmcloud_operator.base.clock import Clock

K = TypeVar("K")

# One for all: each has 2.5 KiB of state, and there are as many as workers.
JITTER: Final = random.Random()  # noqa: S311 - it spreads load, and is no secret


@dataclass(slots=True, kw_only=True)
class Backoff:
    """Delays in seconds that double from `base` to `cap`, each lengthened at random by up to `jitter` of itself.

    Starts over after `reset_after` seconds without a failure (client-go's reflector: 0.8 s to 30 s, two minutes).
    """

    clock: Clock
    base: float = 0.8
    cap: float = 30.0
    jitter: float = 1.0
    reset_after: float = 120.0
    rng: random.Random = JITTER
    _failures: int = 0
    _last: float = float("-inf")

    def next(self, at_least: float = 0.0) -> float:
        """The delay after one more failure, never under `at_least` (a Retry-After, sent to many at once)."""
        now = self.clock.monotonic()
        if now - self._last > self.reset_after + self.cap:
            self._failures = 0
        self._last = now
        delay = min(self.cap, self.base * 2.0 ** min(self._failures, 30))
        self._failures += 1
        spread = 1 + self.rng.random() * self.jitter
        return max(at_least + self.base * (spread - 1), delay * spread)


class RateLimiter(Generic[K]):
    """The delay before a key is tried again: `base`·2ⁿ seconds up to `cap` for its nth failure in a row.

    client-go's ItemExponentialFailureRateLimiter, 5 ms to 1000 s.
    """

    def __init__(self, base: float = 0.005, cap: float = 1000.0) -> None:
        self._base = base
        self._cap = cap
        self._failures: dict[K, int] = {}

    def when(self, key: K) -> float:
        """Counts one more failure of the key. Returns the delay in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        return float(min(self._cap, self._base * 2 ** min(failures, 40)))

    def failures(self, key: K) -> int:
        """How often the key failed in a row."""
        return self._failures.get(key, 0)

    def forget(self, key: K) -> None:
        """The key succeeded, or is given up."""
        self._failures.pop(key, None)
