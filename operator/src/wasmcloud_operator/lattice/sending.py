"""A write asks the gate for its time, and once more right before its bytes go out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from wasmcloud_operator.base.write_gate import WriteGate, seconds_to_write
from wasmcloud_operator.lattice.errors import WritesForbidden

_gate: ContextVar[tuple[WriteGate, str] | None] = ContextVar("gate of the write under way", default=None)


@contextmanager
def writing(gate: WriteGate, wanted: float, what: str) -> Iterator[float]:
    """Yields the seconds that a write may take, at most those wanted; what is sent meanwhile asks the gate once more.

    The gate is asked again right before the bytes are written. Raises WritesForbidden.
    """
    seconds = min(wanted, _seconds_to_write(gate, what))
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
    _seconds_to_write(*asked)
    return True


def _seconds_to_write(gate: WriteGate, what: str) -> float:
    """Returns the seconds that the write may take. Raises WritesForbidden."""
    seconds = seconds_to_write(gate)
    if not seconds:
        raise WritesForbidden(f"{what}: this replica is not the leader")
    return seconds
