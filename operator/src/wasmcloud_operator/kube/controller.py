"""The controller: workers that take keys from a queue and reconcile them, each key apart from all others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from wasmcloud_operator.kube.clock import Clock
from wasmcloud_operator.kube.errors import KubeError
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.queue import Priority, QueueClosed, WorkQueue
from wasmcloud_operator.kube.supervise import cancelled_from_outside, supervise
from wasmcloud_operator.kube.tracing import Span, no_span

log = structlog.get_logger()

K = TypeVar("K", bound=Hashable)

_REPORT_SECONDS = 10.0


class TerminalError(Exception):
    """Trying again is of no use until something changes."""


class ReconcileTimeout(Exception):
    """A reconcile did not end in time and was cancelled."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a reconcile ended: done, or to be looked at again in so many seconds."""

    requeue_after: float | None = None


DONE = Result()


class Controller(Generic[K]):
    """Reconciles keys with a fixed number of workers.

    A reconcile that raises is tried again after the key's backoff; a TerminalError is not, until the key is added
    again; one that takes longer than `timeout` seconds is cancelled and counts as failed. `report` is told of each
    failure, to show it to the user; its own failure is only logged.
    """

    def __init__(
        self,
        name: str,
        reconcile: Callable[[K], Awaitable[Result]],
        *,
        clock: Clock,
        metrics: Metrics,
        workers: int = 8,
        timeout: float = 60.0,
        report: Callable[[K, Exception], Awaitable[None]] | None = None,
        span: Span = no_span,
    ) -> None:
        self.name = name
        self.queue: WorkQueue[K] = WorkQueue(name, clock, metrics=metrics)
        self._reconcile = reconcile
        self._report = report
        self._span = span
        self._clock = clock
        self._metrics = metrics
        self._workers = workers
        self._timeout = timeout
        metrics.max_concurrent_reconciles.labels(name).set(workers)
        for result in ("success", "error", "requeue_after", "terminal"):
            metrics.reconciles.labels(name, result)
        self._active = metrics.active_workers.labels(name)
        self._errors = metrics.reconcile_errors.labels(name)
        self._seconds = metrics.reconcile_seconds.labels(name)

    def __repr__(self) -> str:
        return f"<Controller {self.name}: {self._workers} workers, {self.queue!r}>"

    async def run(self) -> None:
        """Work until the queue is closed or the task is cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(
                    supervise(f"{self.name} worker", self._work, clock=self._clock, metrics=self._metrics, ends=True),
                    name=f"{self.name} worker {number}",
                )

    async def drain(self, seconds: float) -> bool:
        """Take no more keys and wait for those in work; whether they ended in time."""
        self.queue.close()
        try:
            async with self._clock.timeout(seconds):
                await self.queue.drained()
        except TimeoutError:
            log.warning("work in progress did not end in time", controller=self.name, seconds=seconds)
            return False
        return True

    async def _work(self) -> None:
        while True:
            try:
                key, priority = await self.queue.get()
            except QueueClosed:
                return
            self._active.inc()
            started = self._clock.monotonic()
            try:
                await self._one(key, priority)
            finally:
                self._active.dec()
                self._seconds.observe(self._clock.monotonic() - started)
                self.queue.done(key)

    async def _one(self, key: K, priority: Priority) -> None:
        with structlog.contextvars.bound_contextvars(controller=self.name, object=str(key)):
            try:
                result = await self._bounded(key)
            except TerminalError as error:
                self.queue.forget(key)
                self._count("terminal")
                self._errors.inc()
                log.warning("reconcile failed for good; waiting for a change", error=str(error))
                await self._tell(key, error)
            except asyncio.CancelledError:
                if cancelled_from_outside():
                    raise
                await self._failed(key, priority, RuntimeError("something that was waited for was cancelled"))
            except Exception as error:  # noqa: BLE001 - one key that fails must not touch the others
                await self._failed(key, priority, error)
            else:
                self.queue.forget(key)
                if result.requeue_after is None:
                    self._count("success")
                else:
                    self._count("requeue_after")
                    self.queue.add_after(key, result.requeue_after, Priority.BACKGROUND)

    async def _failed(self, key: K, priority: Priority, error: Exception) -> None:
        self._count("error")
        self._errors.inc()
        delay = self.queue.add_rate_limited(key, priority)
        self._log_failure(error, delay)
        await self._tell(key, error)

    async def _bounded(self, key: K) -> Result:
        expired = False
        try:
            async with self._clock.timeout(self._timeout) as deadline:
                try:
                    with self._span(f"reconcile {self.name}", {"object": str(key)}):
                        return await self._reconcile(key)
                finally:
                    expired = deadline.expired()
        except TimeoutError as error:
            if expired:
                raise ReconcileTimeout(f"no result within {self._timeout:.0f} s") from None
            raise ReconcileTimeout(f"something that was waited for did not come: {error}") from error

    async def _tell(self, key: K, error: Exception) -> None:
        if self._report is None:
            return
        try:
            async with self._clock.timeout(_REPORT_SECONDS):
                await self._report(key, error)
        except Exception as failure:  # noqa: BLE001 - the failure itself is logged already
            log.warning("failure could not be shown in the status", error=f"{type(failure).__name__}: {failure}")

    def _log_failure(self, error: Exception, delay: float) -> None:
        text = f"{type(error).__name__}: {error}"
        if isinstance(error, (KubeError, ReconcileTimeout, TimeoutError)):
            log.warning("reconcile failed", error=text, retry_seconds=round(delay, 3))
        else:
            log.error("reconcile failed", error=text, retry_seconds=round(delay, 3), exc_info=error)

    def _count(self, result: str) -> None:
        self._metrics.reconciles.labels(self.name, result).inc()
