"""For how long this process may change anything in a lattice: one leader of several replicas at a time may."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from wasmcloud_operator.lattice.errors import WritesForbidden

# What is left when less than this remains would not reach the other side in time.
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


_gate: ContextVar[tuple[WriteGate, str] | None] = ContextVar("gate of the write under way", default=None)


@contextmanager
def writing(gate: WriteGate, wanted: float, what: str) -> Iterator[float]:
    """Yields the seconds that a write may take, at most those wanted; what is sent meanwhile asks the gate once more.

    The gate is asked again right before the bytes are written. Raises WritesForbidden.
    """
    seconds = seconds_to_write(gate, wanted, what)
    token = _gate.set((gate, what))
    try:
        yield seconds
    finally:
        _gate.reset(token)


def check_before_sending() -> bool:
    """Whether the message that is sent now is a write. Raises WritesForbidden where it may not be sent any more."""
    asked = _gate.get()
    if asked is None:
        return False
    seconds_to_write(asked[0], 0.0, asked[1])
    return True


def seconds_to_write(gate: WriteGate, wanted: float, what: str) -> float:
    """Returns the seconds that the request may take, at most those wanted. Raises WritesForbidden."""
    remaining = gate.remaining()
    if remaining < _MIN_SECONDS:
        raise WritesForbidden(f"{what}: this replica is not the leader")
    return min(wanted, remaining)
