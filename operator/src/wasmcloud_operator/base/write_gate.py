"""For how long this process may change anything: of several replicas one leads at a time."""

from __future__ import annotations

from typing import Protocol

# With less time a request would not reach the other side before somebody else may lead.
_MIN_SECONDS = 0.5


class WriteGate(Protocol):
    """Asked before every request that changes something."""

    def remaining(self) -> float:
        """Seconds for which writing is allowed; 0 or less: not at all."""


class AlwaysOpen:
    """The gate of a process that shares its work with no other."""

    def remaining(self) -> float:
        """No limit."""
        return float("inf")


def seconds_to_write(gate: WriteGate) -> float:
    """Returns the seconds that a write may take now; 0 where it may not be sent."""
    remaining = gate.remaining()
    return remaining if remaining >= _MIN_SECONDS else 0.0
