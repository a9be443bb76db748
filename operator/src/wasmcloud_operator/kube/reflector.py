"""The reflector: keeps a store equal to what the API server has, through every fault."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec
import structlog

from wasmcloud_operator.kube.backoff import Backoff
from wasmcloud_operator.kube.clock import Clock
from wasmcloud_operator.kube.codec import Bookmark, Codec, Deleted, Page, WatchEvent
from wasmcloud_operator.kube.errors import (
    ApiError,
    BadRequest,
    Expired,
    Forbidden,
    Invalid,
    KubeError,
    NotFound,
    ResourceVersionTooLarge,
)
from wasmcloud_operator.kube.objects import HasMetadata, newer
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.kube.source import Source
from wasmcloud_operator.kube.store import Change, Store

log = structlog.get_logger()

T = TypeVar("T", bound=HasMetadata)

# Above the API server's bookmark interval (about a minute), so that a quiet healthy watch is not torn down.
IDLE_SECONDS = 68.0
# A server that ignores sendInitialEvents never ends the initial events; it is then listed instead.
_INITIAL_IDLE_SECONDS = 30.0
_MIN_STREAM_SECONDS = 1.0
_WATCH_SECONDS = (300, 600)
# A Retry-After of a day would make the cache as stale as a deaf watch.
_MAX_RETRY_AFTER = 120.0


class StreamTooShort(KubeError):
    """A watch that ended at once without progress: something in between cuts it off."""


class _NotStreamed(Exception):
    """The server does not stream this list (KEP-3157): it says so, or answers with an ordinary watch."""


@dataclass(slots=True)
class Health:
    """How a reflector is doing: `synced` once it had a full list, `live` while it follows the server; else why not.

    `refused`: because the permission is missing.
    """

    synced: bool = False
    live: bool = False
    refused: bool = False
    problem: str = "not listed yet"


@dataclass(frozen=True, slots=True)
class Recovery:
    """What to do after a failure: list anew or go on at the last resourceVersion, and the seconds to wait at least."""

    relist: bool
    at_least: float = 0.0


def recovery_from(error: Exception) -> Recovery:
    """The way out of a failed list or watch.

    A resourceVersion that the server rejected (too old, from the future, malformed) is never shown to it again; so
    is one of a kind that was removed meanwhile, and one at which the stream cannot be read.
    """
    rejected = (Expired, ResourceVersionTooLarge, NotFound, BadRequest, Invalid, msgspec.MsgspecError)
    retry_after = error.retry_after if isinstance(error, ApiError) else None
    return Recovery(isinstance(error, rejected), min(retry_after or 0.0, _MAX_RETRY_AFTER))


@dataclass(slots=True)
class Reflector(Generic[T]):
    """Lists and watches one source into a store and tells `emit` of every change; the flag says "from a full list".

    `idle` is the silence, in seconds, after which a watch counts as dead: more than the server's bookmark interval.
    State: `_version` is the resourceVersion up to which the store is complete; empty means that a list is due.
    `_reached` is the latest one that the server ever confirmed, also when it has become useless for a watch.
    `_silences` counts the watches in a row that died of silence.
    """

    name: str
    source: Source[T]
    codec: Codec[T]
    store: Store[T]
    emit: Callable[[list[Change[T]], bool], None]
    clock: Clock
    namespace: str = ""
    idle: float = IDLE_SECONDS
    rng: random.Random = field(default_factory=random.Random)
    on_health: Callable[[], None] = lambda: None
    on_relist: Callable[[], None] = lambda: None
    health: Health = field(default_factory=Health)
    _backoff: Backoff = field(init=False)
    _version: str = field(default="", init=False)
    _reached: str = field(default="", init=False)
    _silences: int = field(default=0, init=False)
    _streams_lists: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        self._backoff = Backoff(self.clock, rng=self.rng)

    async def run(self) -> None:
        """Follow the source for ever; only cancellation ends it."""
        try:
            while True:
                try:
                    await self._follow()
                except (KubeError, msgspec.MsgspecError, TimeoutError) as error:
                    recovery = recovery_from(error)
                    self._silences += isinstance(error, TimeoutError)
                    # Silence again on a new connection: the resourceVersion itself may be one that never comes.
                    if recovery.relist or self._silences > 1:
                        self._version = ""
                    delay = self._backoff.next(recovery.at_least)
                    self._failed(error, delay)
                    await self.clock.sleep(delay)
        finally:
            self._set_dead("stopped")

    async def _follow(self) -> None:
        """One connection: list if that is due, then watch until the stream ends."""
        if not self._version and self._streams_lists:
            try:
                await self._stream_list()
            except _NotStreamed as error:
                self._streams_lists = False
                log.info("the server does not stream lists; listing in pages", resource=self.name, why=str(error))
            return
        if not self._version:
            await self._list()
        await self._watch()

    async def _list(self) -> None:
        items: list[T] = []
        token = ""
        while True:
            page: Page[T] = await self.source.page(token)
            items += (self._known(item) for item in page.items)
            if not (token := page.continue_token):
                break
        self._replace(items, page.resource_version)

    async def _stream_list(self) -> None:
        """List and watch in one request (KEP-3157, WatchList)."""
        try:
            async with (
                self.source.watch("", initial_events=True, timeout_seconds=self._timeout()) as batches,
                aclosing(self._events(batches)) as events,
            ):
                await self._take_initial(events)
                self._set_live()
                await self._apply_all(events)
        except (BadRequest, Invalid) as error:
            if self._version:
                raise
            raise _NotStreamed(str(error)) from error
        except TimeoutError as error:
            if self._version:
                raise
            raise _NotStreamed("the initial events did not end") from error

    async def _take_initial(self, events: AsyncIterator[WatchEvent[T]]) -> None:
        initial: dict[Key, T] = {}
        async for event in events:
            if isinstance(event, Bookmark):
                if not event.ends_initial_events:
                    raise _NotStreamed("an ordinary bookmark came before the end of the initial events")
                self._replace(list(initial.values()), event.resource_version)
                return
            if isinstance(event, Deleted):
                initial.pop(event.item.metadata.key, None)
            else:
                initial[event.item.metadata.key] = self._known(event.item)
        raise _NotStreamed("the stream ended before the initial events did")

    async def _watch(self) -> None:
        started, version = self.clock.monotonic(), self._version
        async with (
            self.source.watch(self._version, initial_events=False, timeout_seconds=self._timeout()) as batches,
            aclosing(self._events(batches)) as events,
        ):
            self._set_live()
            await self._apply_all(events)
        if self._version == version and self.clock.monotonic() - started < _MIN_STREAM_SECONDS:
            raise StreamTooShort("the watch ended within a second and brought nothing")

    async def _apply_all(self, events: AsyncIterator[WatchEvent[T]]) -> None:
        async for event in events:
            self._apply(event)

    def _apply(self, event: WatchEvent[T]) -> None:
        self._silences = 0
        if isinstance(event, Bookmark):
            if newer(self._version, event.resource_version):
                raise Expired(410, "Expired", f"the bookmark {event.resource_version} is before {self._version}")
            self._version = self._reached = event.resource_version
            return
        meta = event.item.metadata
        gone = isinstance(event, Deleted)
        put = self.store.put
        changes = self.store.delete(meta.key, meta.uid, meta.resource_version) if gone else put(event.item)
        self._version = self._reached = meta.resource_version
        if changes:
            self.emit(changes, False)

    async def _events(self, batches: AsyncIterator[list[bytes]]) -> AsyncGenerator[WatchEvent[T], None]:
        """The decoded events; raises TimeoutError after too long a silence, an ERROR event's named error."""
        while True:
            async with self.clock.timeout(self.idle if self._version else min(self.idle, _INITIAL_IDLE_SECONDS)):
                batch = await anext(batches, None)
            if batch is None:
                return
            for line in batch:
                if line and (event := self.codec.event(line)) is not None:
                    yield event
            # A burst that is already in the buffer must not keep the loop from everybody else.
            await asyncio.sleep(0)

    def _replace(self, items: list[T], resource_version: str) -> None:
        # A consistent list is never older than what was seen before, unless etcd was restored from a backup.
        rewound = bool(self._reached) and newer(self._reached, resource_version)
        if rewound:
            log.warning(
                "the API server's history went back", resource=self.name, from_=self._reached, to=resource_version
            )
        changes = self.store.replace(items, resource_version, namespace=self.namespace, rewound=rewound)
        self._version = self._reached = resource_version
        self._silences = 0
        self.health.synced = True
        self.on_relist()
        self.emit(changes, True)

    def _known(self, item: T) -> T:
        """The object as already cached, if it has not changed, so that a relist does not hold everything twice."""
        held = self.store.get(item.metadata.key)
        if held is None or held.metadata.uid != item.metadata.uid:
            return item
        return held if held.metadata.resource_version == item.metadata.resource_version else item

    def _timeout(self) -> int:
        return self.rng.randint(*_WATCH_SECONDS)

    def _set_live(self) -> None:
        self.health.live = True
        self.health.refused = False
        self.health.problem = ""
        self.on_health()

    def _set_dead(self, problem: str) -> None:
        self.health.live = False
        self.health.problem = problem
        self.on_health()

    def _failed(self, error: Exception, delay: float) -> None:
        self.health.refused = isinstance(error, Forbidden)
        self._set_dead(str(error) or f"nothing came for {self.idle:.0f} s")
        log.warning(
            "watch interrupted",
            resource=self.name,
            namespace=self.namespace or None,
            error=self.health.problem,
            retry_seconds=round(delay, 2),
            relist=not self._version,
        )
