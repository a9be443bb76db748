"""The reflector: keeps a store equal to what the API server has, through every fault."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import structlog

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.kube.backoff import JITTER, Backoff
from wasmcloud_operator.kube.codec import Bookmark, Codec, Deleted, Put, Unreadable, WatchEvent
from wasmcloud_operator.kube.errors import BadRequest, Expired, Invalid, KubeError, retry_after
from wasmcloud_operator.kube.following import (
    Asked,
    Broke,
    Came,
    Empty,
    Ended,
    FellSilent,
    Happened,
    Listed,
    Listing,
    Opened,
    Opening,
    State,
    Watching,
    step,
)
from wasmcloud_operator.kube.objects import HasMetadata, newer
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.kube.source import Source
from wasmcloud_operator.kube.store import Change, Meanwhile, Store

log = structlog.get_logger()

T = TypeVar("T", bound=HasMetadata)

# Above the API server's bookmark interval (about a minute), so that a quiet watch is seldom opened anew for nothing.
IDLE_SECONDS = 68.0
# To open a watch anew after a silence: with the silence before it, a dead peer is noticed within 75 seconds.
_REOPEN_SECONDS = 6.0
# A server that ignores sendInitialEvents never ends the initial events; it is then listed instead.
_INITIAL_IDLE_SECONDS = 30.0
_MIN_STREAM_SECONDS = 1.0
_WATCH_SECONDS = (300, 600)
# Streamed lists in a row that were not completed, after which no more are asked for.
_STREAM_TRIES = 2


class StreamTooShort(KubeError):
    """A watch that ended at once without progress: something in between cuts it off."""


class _NotStreamed(Exception):
    """The list did not come as a stream (KEP-3157); `refused`: because the server does not do that."""

    def __init__(self, why: str, *, refused: bool) -> None:
        super().__init__(why)
        self.refused = refused


class _Silence(Exception):
    """Nothing came on a stream for `idle` seconds."""


@dataclass(slots=True, kw_only=True)
class Reflector(Generic[T]):
    """Lists and watches one source into a store and calls `emit` with every change; the flag means "from a full list".

    `idle` is the silence, in seconds, after which a watch is opened anew at the same resourceVersion. That costs a
    request and nothing else: what came meanwhile on the old connection comes again on the new one.
    """

    name: str
    source: Source[T]
    codec: Codec[T]
    store: Store[T]
    emit: Callable[[list[Change[T]], bool], None]
    clock: Clock
    namespace: str = ""
    idle: float = IDLE_SECONDS
    rng: random.Random = JITTER
    on_state: Callable[[], None] = lambda: None
    on_relist: Callable[[], None] = lambda: None
    state: State = field(default_factory=Empty, init=False)
    synced: bool = field(default=False, init=False)  # once there was a full list
    _backoff: Backoff = field(init=False)
    _unstreamed: int = field(default=0, init=False)  # streamed lists in a row that were not completed

    def __post_init__(self) -> None:
        self._backoff = Backoff(clock=self.clock, rng=self.rng)

    async def run(self) -> None:
        """Follow the source for ever; only cancellation ends it."""
        try:
            while True:
                self._move(Asked())
                try:
                    await self._connect()
                except (KubeError, TimeoutError) as error:
                    delay = self._backoff.next(retry_after(error))
                    self._move(Broke(error))
                    self._log_failure(delay)
                    await self.clock.sleep(delay)
        finally:
            self.state = Empty("stopped")
            self.on_state()

    async def _connect(self) -> None:
        """One connection: a list if that is due, then a watch until the stream ends or falls silent."""
        if isinstance(self.state, Opening):
            await self._watch(self.state)
        elif self._unstreamed >= _STREAM_TRIES:
            await self._list_pages()
        else:
            try:
                await self._watch(self.state)
            except _NotStreamed as reason:
                self._unstreamed += _STREAM_TRIES if reason.refused else 1
                log.info("listing in pages", resource=self.name, namespace=self.namespace or None, why=str(reason))
                await self._list_pages()

    async def _list_pages(self) -> None:
        items: list[T] = []
        unreadable: list[Unreadable] = []
        token = ""
        with self.store.listing() as meanwhile:
            while True:
                page = await self.source.page(token)
                items += (self._known(item) for item in page.items)
                unreadable += page.unreadable
                if not (token := page.continue_token):
                    break
            self._replace(items, unreadable, page.resource_version, meanwhile)

    async def _watch(self, state: State) -> None:
        """Watch, with the list as a part of the stream (KEP-3157, WatchList) where one is due."""
        started, seconds = self.clock.monotonic(), self.rng.randint(*_WATCH_SECONDS)
        version = state.place.version if isinstance(state, Opening) else ""
        # Refused before anything came: that is what a server does that does not know streamed lists.
        refusal: tuple[type[Exception], ...] = () if version else (BadRequest, Invalid)
        stream = self.source.watch(version, initial_events=not version, timeout_seconds=seconds)
        try:
            async with self.clock.timeout(_REOPEN_SECONDS if state.live else None) as opening, stream as batches:
                opening.reschedule(None)
                async with aclosing(self._events(batches)) as events:
                    if not version:
                        await self._take_initial(events)
                    self._move(Opened())
                    async for event in events:
                        self._apply(event)
        except refusal as error:
            if isinstance(self.state, Listing):
                raise _NotStreamed(str(error), refused=True) from error
            raise
        except _Silence:
            self._move(FellSilent())
            return
        lasted = self.clock.monotonic() - started
        if lasted < _MIN_STREAM_SECONDS and isinstance(self.state, Watching) and self.state.place.version == version:
            raise StreamTooShort("the watch ended within a second and brought nothing")
        self._move(Ended(early=lasted < seconds - _MIN_STREAM_SECONDS))

    async def _take_initial(self, events: AsyncIterator[WatchEvent[T]]) -> None:
        initial: dict[Key, Put[T] | Unreadable] = {}
        with self.store.listing() as meanwhile:
            try:
                async for event in events:
                    match event:
                        case Bookmark(_, ends_initial_events=False):
                            raise _NotStreamed("an ordinary bookmark came before the end of the list", refused=True)
                        case Bookmark(version):
                            items = [put.item for put in initial.values() if isinstance(put, Put)]
                            unreadable = [left for left in initial.values() if isinstance(left, Unreadable)]
                            self._replace(items, unreadable, version, meanwhile)
                            self._unstreamed = 0
                            return
                        case Put(item):
                            initial[item.metadata.key] = Put(self._known(item))
                        case Deleted(identity):
                            initial.pop(identity.key, None)
                        case Unreadable(identity, _):
                            if identity is not None:
                                initial[identity.key] = event
            except _Silence:
                raise _NotStreamed("the initial events did not end", refused=False) from None
            except KubeError:
                self._unstreamed += 1
                raise
        raise _NotStreamed("the stream ended before the initial events did", refused=False)

    def _apply(self, event: WatchEvent[T]) -> None:
        changes: list[Change[T]] = []
        version = ""
        match event:
            case Bookmark():
                version = event.resource_version
                held = self.state.place.version if isinstance(self.state, Watching) else ""
                if newer(held, version):
                    raise Expired(410, "Expired", f"the bookmark {version} is before {held}: the history went back")
            case Put(item):
                version = item.metadata.resource_version
                changes = self.store.put(item)
            case Deleted(identity):
                version = identity.resource_version
                changes = self.store.delete(identity.key, identity.uid, version)
            case Unreadable(identity):
                self._log_left_out([event])
                if identity is not None:
                    version = identity.resource_version
                    changes = self.store.leave_out(identity.key, version)
        self._move(Came(version))
        if changes:
            self.emit(changes, False)

    async def _events(self, batches: AsyncIterator[list[bytes]]) -> AsyncGenerator[WatchEvent[T], None]:
        """The decoded events; raises _Silence after too long a silence, an ERROR event's named error."""
        while True:
            idle = min(self.idle, _INITIAL_IDLE_SECONDS) if isinstance(self.state, Listing) else self.idle
            try:
                async with self.clock.timeout(idle):
                    batch = await anext(batches, None)
            except TimeoutError:
                raise _Silence from None
            if batch is None:
                return
            for line in batch:
                if line:
                    yield self.codec.event(line)
            # A burst that is already in the buffer must not keep the loop from everybody else.
            await asyncio.sleep(0)

    def _replace(
        self, items: list[T], unreadable: list[Unreadable], resource_version: str, meanwhile: Meanwhile
    ) -> None:
        self._log_left_out(unreadable)
        left_out = {left.identity.key: left.identity.resource_version for left in unreadable if left.identity}
        changes = self.store.replace(items, resource_version, meanwhile, namespace=self.namespace, unreadable=left_out)
        self.synced = True
        self._move(Listed(resource_version))
        self.on_relist()
        self.emit(changes, True)

    def _known(self, item: T) -> T:
        """The object as already cached, if it has not changed, so that a relist does not hold everything twice."""
        held = self.store.get(item.metadata.key)
        return held if held is not None and held == item else item

    def _move(self, happened: Happened) -> None:
        before, self.state = self.state, step(self.state, happened)
        if (before.live, before.problem) != (self.state.live, self.state.problem):
            self.on_state()

    def _log_left_out(self, unreadable: list[Unreadable]) -> None:
        """Once for each state of an object, however often it is listed."""
        for left in unreadable:
            identity = left.identity
            if identity is None or self.store.unreadable.get(identity.key) != identity.resource_version:
                log.error(
                    "object left out of the cache: it cannot be read; it is looked at again when it changes",
                    resource=self.name,
                    object=str(identity.key) if identity else "of unknown name",
                    why=left.why,
                )

    def _log_failure(self, delay: float) -> None:
        log.warning(
            "watch interrupted",
            resource=self.name,
            namespace=self.namespace or None,
            error=self.state.problem,
            retry_seconds=round(delay, 2),
        )
