"""What was freed goes back to the system, and what lives long is not walked again and again to find it.

A collection of Python's oldest generation stops everything. It walks all objects that live: half a second for a
thousand lattices, every few seconds while any are made. So what one has found alive is left out of those that follow,
until memory has grown: then all is walked once, since some of what was left out may have died in the meantime.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from wasmcloud_operator.kube.clock import Clock

_EVERY_SECONDS = 20.0
# Memory has grown when it is so many times the least since all was walked.
_GROWN = 1.1
_OLDEST = 2
_STATM = Path("/proc/self/statm")


async def keep_small(clock: Clock) -> None:
    """Give back what was freed, again and again, until cancelled."""
    trim = _trim()
    with _walking_once():
        least = _resident()
        while True:
            await clock.sleep(_EVERY_SECONDS)
            now = _resident()
            grown = now >= _GROWN * least  # also where it is not known: both are 0
            if grown:
                gc.unfreeze()
                gc.collect()
            await asyncio.to_thread(trim, 0)  # some milliseconds, without the interpreter's lock
            left = _resident()
            least = left if grown else min(least, left)


@contextlib.contextmanager
def _walking_once() -> Iterator[None]:
    """A scope in which a collection leaves out what earlier ones have found alive."""

    def on_collection(phase: str, info: dict[str, int]) -> None:
        if phase == "stop" and info["generation"] == _OLDEST:
            gc.freeze()

    gc.callbacks.append(on_collection)
    try:
        yield
    finally:
        gc.callbacks.remove(on_collection)
        gc.unfreeze()


def _resident() -> int:
    """Returns the bytes of resident memory; 0 where the system does not show them."""
    try:
        return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _trim() -> Callable[[int], object]:
    """Returns glibc's malloc_trim, or a function without effect: other C libraries release memory by themselves."""
    trim: Callable[[int], object] = getattr(ctypes.CDLL(None), "malloc_trim", lambda _: None)
    return trim
