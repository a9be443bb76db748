"""Supervision: a task that must live is started again when it dies, and never dies in silence."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.kube.backoff import Backoff
from wasmcloud_operator.kube.metrics import Metrics

log = structlog.get_logger()


async def supervise(
    name: str, run: Callable[[], Awaitable[None]], *, clock: Clock, metrics: Metrics, ends: bool = False
) -> None:
    """Run for ever: whenever `run` raises it is called again within a second.

    With `ends` returning is a proper end and not a death. Cancellation goes through; a CancelledError of
    something that was awaited, while nobody cancels this task, is a death like any other.
    """
    backoff = Backoff(clock=clock, base=0.1, cap=0.5, jitter=0.5)
    while True:
        try:
            await run()
            if ends:
                return
            log.error("task ended unexpectedly; starting it again", task=name)
        except asyncio.CancelledError:
            if cancelled_from_outside():
                raise
            log.exception("task died; starting it again", task=name)
        except Exception:
            log.exception("task died; starting it again", task=name)
        metrics.restarts.labels(name).inc()
        await clock.sleep(backoff.next())


def cancelled_from_outside() -> bool:
    """Whether someone cancels the running task, as against an inner future that was cancelled by itself."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
