"""The work queue: deduplicated, prioritised, delayed, one worker a key, fair between tenants."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from wasmcloud_operator.base.clock import Clock, TimerHandle
from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.kube.backoff import RateLimiter
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.turns import UNBOUNDED, Priority, Shares, Turns

__all__ = ["Priority", "QueueClosed", "WorkQueue"]

K = TypeVar("K", bound=Hashable)


class QueueClosed(Exception):
    """The queue was shut down: no more keys."""


@dataclass(slots=True)
class _Entry:
    """A key that waits: ready now if `ready_at` has passed."""

    ready_at: float
    priority: Priority
    ticket: int  # of the place in `_delayed` that is valid for this entry; all others are leftovers


def no_tenant(_key: Hashable) -> str:
    """All keys are one tenant's."""
    return ""


class WorkQueue(Generic[K]):
    """Keys to be worked on.

    `tenant` is whose key it is; `shares` bounds how many keys may be in work, and how many of one tenant while others
    wait. Keys that are added before `open` or after `close` are dropped.

    Invariants:
    - `_entries` holds each waiting key once, with the earliest time and the highest priority anyone asked for.
    - `_processing` holds the keys that are with a worker. A key may be in both (it changed while it was worked on);
      it is handed out again only after `done`.
    - every entry that is due and not processing is in `_ready`; every entry whose time is to come has a valid place
      in `_delayed`.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        *,
        metrics: Metrics | None = None,
        limiter: RateLimiter[K] | None = None,
        tenant: Callable[[K], str] = no_tenant,
        shares: Shares = UNBOUNDED,
    ) -> None:
        self.name = name
        self._clock = clock
        self._tenant = tenant
        self._limiter: RateLimiter[K] = limiter or RateLimiter()
        self._entries: dict[K, _Entry] = {}
        self._processing: dict[K, float] = {}
        self._ready: Turns[K] = Turns(shares)
        self._delayed: list[tuple[float, int, K]] = []
        self._tickets = 0
        self._getters: deque[asyncio.Future[None]] = deque()
        self._timer: TimerHandle | None = None
        self._timer_at = float("inf")
        self._open = self._closed = False
        self._idle = asyncio.Event()
        self._idle.set()
        metrics = metrics or Metrics()
        metrics.queues.watch(name, self)
        self._adds = metrics.queue_adds.labels(name)
        self._retries = metrics.queue_retries.labels(name)
        self._waited = metrics.queue_wait_seconds.labels(name)
        self._worked = metrics.queue_work_seconds.labels(name)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<WorkQueue {self.name}: {len(self._entries)} waiting, {len(self._processing)} in work>"

    def open(self) -> None:
        """Take keys from now on; those that were added before were dropped."""
        self._open = True

    def add(self, key: K, priority: Priority = Priority.FRESH) -> None:
        """Have the key worked on as soon as a worker is free."""
        self._put(key, self._clock.monotonic(), priority)

    def add_after(self, key: K, seconds: float, priority: Priority = Priority.FRESH) -> None:
        """Have the key worked on in so many seconds, or earlier if it is asked for earlier."""
        self._put(key, self._clock.monotonic() + max(0.0, seconds), priority)

    def add_rate_limited(self, key: K, priority: Priority = Priority.FRESH, *, at_least: float = 0.0) -> float:
        """Have the key tried again after its backoff, `at_least` so many seconds; returns the delay."""
        self._retries.inc()
        delay = max(at_least, self._limiter.when(key))
        self.add_after(key, delay, priority)
        return delay

    def forget(self, key: K) -> None:
        """Start the key's backoff over."""
        self._limiter.forget(key)

    def failures(self, key: K) -> int:
        """How often the key failed in a row."""
        return self._limiter.failures(key)

    async def get(self) -> tuple[K, Priority]:
        """Wait for a key and take it into work; `done` must follow. Raises QueueClosed after `close`."""
        while True:
            if self._closed:
                raise QueueClosed(self.name)
            if (taken := self._take()) is not None:
                return taken
            getter = asyncio.get_running_loop().create_future()
            self._getters.append(getter)
            try:
                await getter
            except asyncio.CancelledError:
                if getter.done() and not getter.cancelled():
                    self._wake()  # the wake-up was for us; hand it on
                raise
            finally:
                if getter in self._getters:
                    self._getters.remove(getter)

    def done(self, key: K) -> None:
        """The key's work is over; if it was added meanwhile it becomes available again."""
        started = self._processing.pop(key)
        self._ready.free(self._tenant(key))
        now = self._clock.monotonic()
        self._worked.observe(now - started)
        if (entry := self._entries.get(key)) is not None and entry.ready_at <= now:
            self._place(key, entry)
        if self._ready.waiting:
            self._wake()  # for that key, or for one that waited for a slot
        if not self._processing:
            self._idle.set()

    def close(self) -> None:
        """Hand out no more keys; waiting `get`s raise QueueClosed. Work in progress goes on."""
        self._open, self._closed = False, True
        if self._timer is not None:
            self._timer.cancel()
        while self._getters:
            self._wake()

    async def drained(self) -> None:
        """Wait until no key is in work."""
        await self._idle.wait()

    def depth(self) -> int:
        """Keys that are ready and wait for a worker."""
        now = self._clock.monotonic()
        return sum(entry.ready_at <= now for entry in self._entries.values())

    @property
    def working(self) -> int:
        """Keys in work."""
        return len(self._processing)

    def running_seconds(self) -> list[float]:
        """For each key in work: seconds since it was handed out."""
        now = self._clock.monotonic()
        return [now - started for started in self._processing.values()]

    def state(self) -> JsonObject:
        """Returns the readings of the queue and its keys in work, to be shown to a person."""
        now = self._clock.monotonic()
        ready = self.depth()
        in_work = {str(key): round(now - started, 1) for key, started in self._processing.items()}
        return {"ready": ready, "delayed": len(self._entries) - ready, "secondsInWork": in_work}

    def _put(self, key: K, ready_at: float, priority: Priority) -> None:
        if not self._open:
            return
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(ready_at, priority, 0)
            self._adds.inc()
        elif ready_at >= entry.ready_at and priority <= entry.priority:
            return
        else:
            # A background key that is edited now is as fresh as the edit, but no sooner than the edit asks.
            entry.ready_at = min(entry.ready_at, ready_at)
            entry.priority = max(entry.priority, priority)
        self._place(key, entry)
        if key not in self._processing and entry.ready_at <= self._clock.monotonic():
            self._wake()

    def _place(self, key: K, entry: _Entry) -> None:
        """Puts the entry into its only valid place: among the ready, among the delayed, or (in work) with nobody."""
        self._tickets += 1
        entry.ticket = self._tickets
        if entry.ready_at > self._clock.monotonic():
            heapq.heappush(self._delayed, (entry.ready_at, entry.ticket, key))
            self._sweep()
            self._arm()
        elif key not in self._processing:
            self._ready.add(self._tenant(key), key, entry.priority)

    def _take(self) -> tuple[K, Priority] | None:
        self._promote()
        key = self._ready.take()
        if key is None:
            return None
        entry = self._entries.pop(key)
        now = self._clock.monotonic()
        self._waited.observe(now - entry.ready_at)
        self._processing[key] = now
        self._idle.clear()
        return key, entry.priority

    def _promote(self) -> int:
        """Move what is due from the delayed to the ready; returns how many may have got there."""
        moved = 0
        now = self._clock.monotonic()
        while self._delayed and self._delayed[0][0] <= now:
            _, ticket, key = heapq.heappop(self._delayed)
            entry = self._entries.get(key)
            if entry is not None and entry.ticket == ticket:
                self._place(key, entry)
                moved += 1
        return moved

    def _sweep(self) -> None:
        """Throw leftovers out, or a key that is delayed for an hour again and again leaves thousands of them."""
        if len(self._delayed) > 2 * len(self._entries) + 64:
            self._delayed = [
                (ready_at, ticket, key)
                for ready_at, ticket, key in self._delayed
                if (entry := self._entries.get(key)) is not None and entry.ticket == ticket
            ]
            heapq.heapify(self._delayed)

    def _arm(self) -> None:
        """Keep one timer, for the earliest delayed entry."""
        due = self._delayed[0][0]
        if self._timer is not None:
            if self._timer_at <= due:
                return
            self._timer.cancel()
        self._timer_at = due
        self._timer = self._clock.call_later(max(0.0, due - self._clock.monotonic()), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        for _ in range(self._promote()):
            self._wake()
        if self._delayed:
            self._arm()

    def _wake(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return
