"""What was freed goes back to the system: glibc keeps it, and a burst of anybody's would count as ours for good."""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable

from wasmcloud_operator.kube.clock import Clock

_EVERY_SECONDS = 20.0


async def give_back(clock: Clock) -> None:
    """Give back what was freed, again and again, until cancelled."""
    trim = _trim()
    while True:
        await clock.sleep(_EVERY_SECONDS)
        await asyncio.to_thread(trim, 0)  # some milliseconds, without the interpreter's lock


def _trim() -> Callable[[int], object]:
    """Returns glibc's malloc_trim, or a function without effect: other C libraries release memory by themselves."""
    trim: Callable[[int], object] = getattr(ctypes.CDLL(None), "malloc_trim", lambda _: None)
    return trim
