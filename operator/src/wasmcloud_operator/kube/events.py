"""The event recorder: Kubernetes Events (events.k8s.io/v1) that never hold up whoever reports them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, Literal, TypeVar
from uuid import uuid4

import structlog

from wasmcloud_operator.base.clock import Clock, TimerHandle
from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.kube.client import MERGE_PATCH, Writer
from wasmcloud_operator.kube.codec import UNSTRUCTURED
from wasmcloud_operator.kube.errors import AlreadyExists, Conflict, Forbidden, KubeError, NotFound, retry_after
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.objects import ObjectMeta
from wasmcloud_operator.kube.resources import EVENT, Key, Resource
from wasmcloud_operator.kube.timestamps import rfc3339_micro

log = structlog.get_logger()

EventType = Literal["Normal", "Warning"]
K = TypeVar("K")
V = TypeVar("V")

# events.k8s.io/v1: note at most 1024 bytes, reason and action at most 128 characters.
_MAX_NOTE = 1024
# client-go: repeats within six minutes are one series.
_SERIES_SECONDS = 360.0
# A series is written once for its first repeat and then no oftener than this.
_SERIES_WRITE_SECONDS = 60.0
# Of one object and reason: notes sent at once, and the seconds until there may be another (client-go's spam filter).
_BURST = 10
_REFILL_SECONDS = 300.0
_MAX_PENDING = 1000
_MAX_SERIES = 4096


@dataclass(frozen=True, slots=True)
class _Subject:
    """What makes two events the same."""

    namespace: str
    uid: str
    type: EventType
    reason: str
    note: str

    @property
    def about(self) -> tuple[str, EventType, str]:
        """What its notes are about: the object and the reason."""
        return self.uid, self.type, self.reason


@dataclass(slots=True, kw_only=True)
class _Series:
    """An event that was sent and what has been added to it since."""

    event: JsonObject
    key: Key | None  # None until the API server has it
    count: int
    first: float
    written: float
    timer: TimerHandle | None = None  # runs while repeats wait for the next write


@dataclass(slots=True)
class _Budget:
    """How many more Events one object may have of one reason; `newest` is the report that waits for the next."""

    left: float
    at: float
    newest: Callable[[], None] | None = None

    def spend(self, now: float) -> bool:
        """Take one, if there is one."""
        self.left, self.at = min(float(_BURST), self.left + (now - self.at) / _REFILL_SECONDS), now
        if self.left < 1 - 1e-9:
            return False
        self.left -= 1
        return True


class _Memory(Generic[K, V]):
    """What is kept of the namespaces. Of too much, the oldest of the namespace that has the most is forgotten."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[K, V]] = {}  # by namespace, the oldest first; none is empty

    def get(self, namespace: str, key: K) -> V | None:
        """Returns what is kept."""
        return self._kept.get(namespace, {}).get(key)

    def put(self, namespace: str, key: K, value: V) -> None:
        """Keep it, as the newest."""
        kept = self._kept.setdefault(namespace, {})
        kept.pop(key, None)
        kept[key] = value
        if sum(map(len, self._kept.values())) > _MAX_SERIES:
            most = max(self._kept, key=lambda one: len(self._kept[one]))
            del self._kept[most][next(iter(self._kept[most]))]
            if not self._kept[most]:
                del self._kept[most]


class EventRecorder:
    """Sends Events in the background.

    The same event again within six minutes becomes a series: one object whose count grows, written at most once a
    minute. Of one object and reason at most ten notes are sent at once, then one in five minutes: the newest. At most
    1,000 events wait; of more the newest of the namespace with the most is dropped and counted. Those of a namespace
    are sent one after the other, and wait for no other namespace's: its quota, its webhooks or its limit may hold them
    up. While the API server asks to wait nothing is sent of that namespace, and then only the newest of each object and
    reason.
    """

    def __init__(self, client: Writer, *, controller: str, instance: str, clock: Clock, metrics: Metrics) -> None:
        self._client = client
        self._controller = controller
        self._instance = instance
        self._clock = clock
        self._dropped = metrics.events_dropped
        self._series: _Memory[_Subject, _Series] = _Memory()
        self._budgets: _Memory[tuple[str, EventType, str], _Budget] = _Memory()
        self._pending: dict[str, dict[_Subject, None]] = {}  # by namespace, in the order in which they are sent
        self._sending: set[str] = set()  # the namespaces that `run` has a task for
        self._reported = asyncio.Event()  # set while something is pending

    def event(
        self, resource: Resource, regarding: ObjectMeta, type_: EventType, reason: str, note: str, *, action: str
    ) -> None:
        """Report something about an object; returns at once. `note` must hold no secret."""
        subject = _Subject(regarding.namespace or "default", regarding.uid, type_, reason, _shortened(note))
        now = self._clock.monotonic()
        series = self._series.get(subject.namespace, subject)
        if series is None or now - series.first > _SERIES_SECONDS:
            budget = self._budget(subject, now)
            if not budget.spend(now):
                again = partial(self.event, resource, regarding, type_, reason, note, action=action)
                self._wait_for_turn(budget, again)
                return
            body = self._body(resource, regarding, subject, action)
            series = _Series(event=body, key=None, count=1, first=now, written=now)
            self._series.put(subject.namespace, subject, series)
        else:
            series.count += 1
            wait = series.written + _SERIES_WRITE_SECONDS - now
            if series.key is not None and series.count > 2 and wait > 0:
                if series.timer is None:
                    series.timer = self._clock.call_later(wait, partial(self._due, subject, series))
                return
        self._enqueue(subject)

    def _budget(self, subject: _Subject, now: float) -> _Budget:
        budget = self._budgets.get(subject.namespace, subject.about) or _Budget(_BURST, now)
        self._budgets.put(subject.namespace, subject.about, budget)
        return budget

    def _wait_for_turn(self, budget: _Budget, report: Callable[[], None]) -> None:
        """Have the newest note sent when the object may have another Event of this reason."""
        self._dropped.labels("too many").inc()
        if budget.newest is None:
            self._clock.call_later(_REFILL_SECONDS * (1 - budget.left), partial(self._turn_came, budget))
        budget.newest = report

    def _turn_came(self, budget: _Budget) -> None:
        report, budget.newest = budget.newest, None
        if report is not None:
            report()

    def _due(self, subject: _Subject, series: _Series) -> None:
        series.timer = None
        if self._series.get(subject.namespace, subject) is series:
            self._enqueue(subject)

    async def run(self) -> None:
        """Send what is reported until cancelled."""
        async with asyncio.TaskGroup() as senders:
            while True:
                for namespace in self._pending.keys() - self._sending:
                    self._sending.add(namespace)
                    sender = senders.create_task(self._send_all(namespace), name=f"events of {namespace}")
                    sender.add_done_callback(partial(self._sent, namespace))
                self._reported.clear()
                await self._reported.wait()

    async def flush(self) -> None:
        """Send what is still waiting; for a clean stop. Failures are counted, not raised; waits if asked to."""
        await asyncio.gather(*map(self._send_all, tuple(self._pending)))

    def _sent(self, namespace: str, _sender: asyncio.Task[None]) -> None:
        """A task has ended; what was reported since then needs another."""
        self._sending.discard(namespace)
        self._reported.set()

    async def _send_all(self, namespace: str) -> None:
        while waiting := self._pending.get(namespace):
            subject = next(iter(waiting))
            del waiting[subject]
            series = self._series.get(subject.namespace, subject)
            if series is None:
                continue
            try:
                await self._send(series)
            except KubeError as error:
                if wait := retry_after(error):
                    self._pending[namespace] = {subject: None, **self._pending.get(namespace, {})}  # the oldest
                    await self._clock.sleep(wait)
                    self._keep_newest(last=subject)
                else:
                    self._failed(series, error)
        self._pending.pop(namespace, None)

    def _enqueue(self, subject: _Subject) -> None:
        self._pending.setdefault(subject.namespace, {})[subject] = None
        if sum(map(len, self._pending.values())) > _MAX_PENDING:
            max(self._pending.values(), key=len).popitem()
            self._dropped.labels("full").inc()
        self._reported.set()

    def _keep_newest(self, last: _Subject) -> None:
        """Keep the newest of what waits of each object and reason. What `last` is about goes behind all others."""
        waiting = self._pending.get(last.namespace, {})
        newest = {subject.about: subject for subject in waiting}
        self._dropped.labels("too many").inc(len(waiting) - len(newest))
        if last.about in newest:
            newest[last.about] = newest.pop(last.about)
        self._pending[last.namespace] = dict.fromkeys(newest.values())

    async def _send(self, series: _Series) -> None:
        if series.key is None:
            key = Key(series.event["metadata"]["namespace"], series.event["metadata"]["name"])
            try:
                await self._client.create(EVENT, series.event, namespace=key.namespace)
            except AlreadyExists:
                series.key = key  # an earlier attempt was done, and its answer lost
            else:
                series.key = key
                return
        if series.count > 1:
            observed = rfc3339_micro(self._clock.now())
            patch = {"series": {"count": series.count, "lastObservedTime": observed}}
            series.written = self._clock.monotonic()
            await self._client.patch(EVENT, series.key, patch, MERGE_PATCH, UNSTRUCTURED)

    def _failed(self, series: _Series, error: KubeError) -> None:
        if isinstance(error, NotFound) and series.key is not None:
            series.key = None  # it expired; the next repeat creates it anew
            return
        cause = "refused" if isinstance(error, (Forbidden, NotFound, Conflict)) else "failed"
        self._dropped.labels(cause).inc()
        log.info("event not sent", reason=series.event["reason"], error=str(error))

    def _body(self, resource: Resource, regarding: ObjectMeta, subject: _Subject, action: str) -> JsonObject:
        return {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "metadata": {
                "name": f"{regarding.name[:200].rstrip('-.')}.{uuid4().hex[:16]}",
                "namespace": subject.namespace,
            },
            "eventTime": rfc3339_micro(self._clock.now()),
            "reportingController": self._controller,
            "reportingInstance": self._instance[:128],
            "action": action[:128],
            "reason": subject.reason[:128],
            "note": subject.note,
            "type": subject.type,
            "regarding": {
                "apiVersion": resource.api_version,
                "kind": resource.kind,
                "name": regarding.name,
                "namespace": regarding.namespace,
                "uid": regarding.uid,
                "resourceVersion": regarding.resource_version,
            },
        }


def _shortened(note: str) -> str:
    return note.encode(errors="replace")[:_MAX_NOTE].decode(errors="ignore")
