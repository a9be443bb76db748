"""The controller: workers that take keys from a queue and reconcile them, each key apart from all others."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import structlog

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.kube.errors import KubeError, retry_after
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.queue import Priority, QueueClosed, WorkQueue, no_tenant
from wasmcloud_operator.kube.supervise import cancelled_from_outside, supervise
from wasmcloud_operator.kube.tracing import Span, no_span
from wasmcloud_operator.kube.turns import Shares

log = structlog.get_logger()

K = TypeVar("K", bound=Hashable)

Outcome = Literal["success", "requeue_after", "error", "terminal"]

_REPORT_SECONDS = 10.0
# Of how many keys the last outcome is kept, to be looked at.
_REMEMBERED = 4096


class TerminalError(Exception):
    """Trying again is of no use until something changes."""


class ReconcileTimeout(Exception):
    """A reconcile did not end in time and was cancelled."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a reconcile ended: done, or to be looked at again in so many seconds.

    `waits_for`: what has to come before the key can go on; empty if it waits for nothing. It has no default, so that
    no reconcile ends early without a word about it.
    """

    waits_for: str
    requeue_after: float | None = None

    @classmethod
    def waiting(cls, waits_for: str, requeue_after: float | None = None) -> Result:
        """Returns the result of a reconcile that ended early. Without seconds its change brings the key back."""
        return cls(waits_for, requeue_after)

    def or_sooner(self, waits_for: str, seconds: float) -> Result:
        """Returns the same, or a look in so many seconds where this one would come later."""
        if self.requeue_after is not None and self.requeue_after <= seconds:
            return self
        return Result(self.waits_for or waits_for, seconds)


DONE = Result("")


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The last reconcile of a key: how it ended, what the key waits for now, how long it took and when (monotonic)."""

    outcome: Outcome
    waits_for: str
    priority: Priority
    seconds: float
    at: float


class Controller(Generic[K]):
    """Reconciles keys with a fixed number of workers.

    A reconcile that raises is tried again after the key's backoff; a TerminalError is not, until the key is added
    again; one that takes longer than `timeout` seconds is cancelled and counts as failed. `report` is called with each
    failure, to show it to the user; its own failure is only logged.

    The queue takes no keys before `start`: a standby keeps caches, not queues. `tenant` is whose key it is; one tenant
    has at most `workers` of the workers, a quarter more are kept for others.
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
        tenant: Callable[[K], str] = no_tenant,
    ) -> None:
        self.name = name
        shares = Shares(workers) if tenant is no_tenant else Shares.beside(workers)
        self.queue: WorkQueue[K] = WorkQueue(name, clock, metrics=metrics, tenant=tenant, shares=shares)
        self._reconcile = reconcile
        self._report = report
        self._span = span
        self._clock = clock
        self._metrics = metrics
        self._workers = shares.total
        self._timeout = timeout
        self._reconciled: OrderedDict[K, Reconciled] = OrderedDict()
        metrics.max_concurrent_reconciles.labels(name).set(self._workers)
        for result in ("success", "error", "requeue_after", "terminal"):
            metrics.reconciles.labels(name, result)
        self._active = metrics.active_workers.labels(name)
        self._errors = metrics.reconcile_errors.labels(name)
        self._seconds = metrics.reconcile_seconds.labels(name)

    def __repr__(self) -> str:
        return f"<Controller {self.name}: {self._workers} workers, {self.queue!r}>"

    def start(self) -> None:
        """Take keys from now on."""
        self.queue.open()

    async def run(self) -> None:
        """Take keys and work until the queue is closed or the task is cancelled."""
        self.start()
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

    def state(self) -> JsonObject:
        """Returns what the controller does now and how each key was reconciled last, to be shown to a person."""
        now = self._clock.monotonic()
        keys = {
            str(key): {
                "outcome": last.outcome,
                **({"waitsFor": last.waits_for} if last.waits_for else {}),
                "priority": last.priority.name.lower(),
                "milliseconds": round(last.seconds * 1000, 1),
                "secondsAgo": round(now - last.at, 1),
                "failures": self.queue.failures(key),
            }
            for key, last in self._reconciled.items()
        }
        return {"queue": self.queue.state(), "keys": keys}

    async def _work(self) -> None:
        while True:
            try:
                key, priority = await self.queue.get()
            except QueueClosed:
                return
            self._active.inc()
            started = self._clock.monotonic()
            try:
                with structlog.contextvars.bound_contextvars(controller=self.name, object=str(key)):
                    outcome, waits_for = await self._one(key, priority)
                    now = self._clock.monotonic()
                    self._remember(key, Reconciled(outcome, waits_for, priority, now - started, now))
            finally:
                self._active.dec()
                self._seconds.observe(self._clock.monotonic() - started)
                self.queue.done(key)

    async def _one(self, key: K, priority: Priority) -> tuple[Outcome, str]:
        """Reconcile the key and requeue as its result asks. Returns the outcome and what the key waits for."""
        try:
            result = await self._bounded(key)
        except TerminalError as error:
            self.queue.forget(key)
            self._count("terminal")
            self._errors.inc()
            log.warning("reconcile failed for good; waiting for a change", error=str(error))
            await self._report_failure(key, error)
            return "terminal", f"a change, after {error}"
        except asyncio.CancelledError:
            if cancelled_from_outside():
                raise
            return await self._failed(key, priority, RuntimeError("something that was waited for was cancelled"))
        except Exception as error:  # noqa: BLE001 - one key that fails must not touch the others
            return await self._failed(key, priority, error)
        self.queue.forget(key)
        if result.requeue_after is None:
            self._count("success")
            return "success", result.waits_for
        self._count("requeue_after")
        self.queue.add_after(key, result.requeue_after, Priority.BACKGROUND)
        return "requeue_after", result.waits_for

    async def _failed(self, key: K, priority: Priority, error: Exception) -> tuple[Outcome, str]:
        self._count("error")
        self._errors.inc()
        delay = self.queue.add_rate_limited(key, priority, at_least=retry_after(error))
        self._log_failure(error, delay)
        await self._report_failure(key, error)
        return "error", f"another try, after {type(error).__name__}: {error}"

    def _remember(self, key: K, last: Reconciled) -> None:
        """Keep the outcome, and log it if it is another than before."""
        before = self._reconciled.pop(key, None)
        self._reconciled[key] = last
        if len(self._reconciled) > _REMEMBERED:
            self._reconciled.popitem(last=False)
        if before is None or (before.outcome, before.waits_for) != (last.outcome, last.waits_for):
            log.debug(
                "reconciled",
                key=str(key),
                outcome=last.outcome,
                waits_for=last.waits_for or None,
                priority=last.priority.name.lower(),
                ms=round(last.seconds * 1000, 1),
            )

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

    async def _report_failure(self, key: K, error: Exception) -> None:
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

    def _count(self, result: Outcome) -> None:
        self._metrics.reconciles.labels(self.name, result).inc()
