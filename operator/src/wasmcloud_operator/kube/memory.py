"""What was freed goes back to the system, and what lives long is not walked again and again to find it.

A collection of Python's oldest generation stops everything. It walks all objects that live: half a second for a
thousand lattices, every few seconds while any are made. So what one has found alive is left out of those that follow,
until memory has grown: then all is walked once, since some of what was left out may have died in the meantime. Such a
walk waits for a quiet moment, as what comes in meanwhile waits for its end.

The youngest are looked at less often than Python would: it does so after 700 objects, which is one reconcile, and finds
them alive.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from wasmcloud_operator.base.clock import Clock

_EVERY_SECONDS = 20.0
# Memory has grown when it is so many times the least since all was walked.
_GROWN = 1.1
# The processor time of a second that is quiet enough in the end, and how many are waited for one. In the beginning only
# an idle second is quiet: between two events of one burst there may be a second, too.
_QUIET_SECONDS = 0.1
_BUSY_AT_MOST = 60
_OLDEST = 2
# So many more containers than before, and the youngest are looked at.
_YOUNGEST = 10_000
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
                await _quiet(clock)
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

    gc.freeze()  # the modules' own: what was imported lives on
    gc.callbacks.append(on_collection)
    before = gc.get_threshold()
    gc.set_threshold(_YOUNGEST, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(on_collection)
        gc.unfreeze()


async def _quiet(clock: Clock) -> None:
    """Return after a second in which little was done, the less the sooner, or after many in which much was."""
    for waited in range(1, _BUSY_AT_MOST + 1):
        before = _processor_seconds()
        await clock.sleep(1.0)
        if _processor_seconds() - before <= _QUIET_SECONDS * waited / _BUSY_AT_MOST:
            return


def _processor_seconds() -> float:
    """Returns the processor time of the process until now."""
    return time.process_time()


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
