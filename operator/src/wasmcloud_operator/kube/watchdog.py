"""A watchdog over the event loop: a thread that logs the stack in which the loop stands still."""

from __future__ import annotations

import queue
import sys
import threading
import traceback

import structlog

from wasmcloud_operator.base.clock import Clock

log = structlog.get_logger()

_BEAT_SECONDS = 1.0
# A loop that stood still for this long is reported with the stack it stands in.
_STUCK_SECONDS = 10.0


async def watch_loop(clock: Clock) -> None:
    """Log the stack of a loop that stands still, once each time, until cancelled.

    The thread reads the stack while it holds the interpreter's lock. `faulthandler.dump_traceback_later` reads without
    the lock, and a stack that changes meanwhile ends the process (SIGSEGV): so it was when a stopped process went on.
    The price: a loop that stands in C code which keeps the lock is reported once that code returns.
    """
    beats: queue.SimpleQueue[bool] = queue.SimpleQueue()  # False is the last of them
    threading.Thread(target=_watch, args=(beats, threading.get_ident()), name="loop watchdog", daemon=True).start()
    try:
        while True:
            beats.put(True)
            await clock.sleep(_BEAT_SECONDS)
    finally:
        beats.put(False)


def _watch(beats: queue.SimpleQueue[bool], watched: int) -> None:
    goes_on = True
    while goes_on:
        try:
            goes_on = beats.get(timeout=_STUCK_SECONDS)
        except queue.Empty:
            stack = traceback.format_stack(sys._current_frames().get(watched))  # noqa: SLF001 - documented in `sys`
            log.error("event loop stands still", seconds=_STUCK_SECONDS, stack="".join(stack))
            goes_on = beats.get()
