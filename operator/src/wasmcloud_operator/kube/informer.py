"""The informer: a store kept fresh by reflectors, and handlers that are called with every change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

import structlog

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.codec import Codec
from wasmcloud_operator.kube.following import Failed, Listing, Opening, State
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.namespaces import ALL_NAMESPACES, Scope
from wasmcloud_operator.kube.objects import HasMetadata
from wasmcloud_operator.kube.reflector import IDLE_SECONDS, Reflector
from wasmcloud_operator.kube.resources import Resource
from wasmcloud_operator.kube.source import ApiSource, Source
from wasmcloud_operator.kube.store import Change, Indexer, Store
from wasmcloud_operator.kube.supervise import supervise

log = structlog.get_logger()

T = TypeVar("T", bound=HasMetadata)

# Called with a change, and whether it came with a full list (start, resync) rather than as an edit.
Handler = Callable[[Change[T], bool], None]


class Informer(Generic[T]):
    """Follows one kind in namespaces that may change while it runs; none that its `scope` leaves out.

    Each namespace costs a watch, with a connection of its own. An informer that may `widen` follows all namespaces
    with one watch as soon as more than so many are asked for, and for good: then what it does not need costs less.

    Handlers run on the loop, one after the other, in the order of the changes; they must only enqueue.
    """

    def __init__(
        self,
        name: str,
        source: Callable[[str], Source[T]],
        codec: Codec[T],
        *,
        clock: Clock,
        metrics: Metrics,
        indexers: Mapping[str, Indexer[T]] | None = None,
        namespaces: Iterable[str] = (ALL_NAMESPACES,),
        scope: Scope | None = None,
        idle: float = IDLE_SECONDS,
        widen: int | None = None,
        keep_unreadable: bool = False,
        optional: bool = False,
    ) -> None:
        """`optional`: that the server has ceased to serve the kind is no problem; it is followed again once it does."""
        self.name = name
        self._optional = optional
        self._widen = widen
        self.idle = idle
        self.store: Store[T] = Store(indexers, keep_unreadable=keep_unreadable)
        self._source = source
        self._codec = codec
        self._clock = clock
        self._metrics = metrics
        self._handlers: list[Handler[T]] = []
        self._on_lost: list[Callable[[], None]] = []
        self._scope = scope
        self._wanted = self._namespaces = frozenset(namespaces)
        self._reflectors: dict[str, Reflector[T]] = {}
        self._changed = asyncio.Event()
        self._progress = asyncio.Event()
        self._live = metrics.informer_live.labels(name)
        self._events = metrics.informer_events.labels(name)
        self._relists = metrics.informer_relists.labels(name)
        metrics.informer_objects.labels(name).set_function(lambda: len(self.store))
        metrics.informer_unreadable.labels(name).set_function(lambda: len(self.store.unreadable))
        if scope is not None:
            scope.listen(self._narrow)

    @classmethod
    def on_api(
        cls,
        client: Reader,
        resource: Resource,
        codec: Codec[T],
        *,
        clock: Clock,
        metrics: Metrics,
        indexers: Mapping[str, Indexer[T]] | None = None,
        namespaces: Iterable[str] = (ALL_NAMESPACES,),
        scope: Scope | None = None,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
        idle: float = IDLE_SECONDS,
        name: str = "",
        widen: int | None = None,
        keep_unreadable: bool = False,
        optional: bool = False,
    ) -> Informer[T]:
        """An informer of a kind on the API server; `name` distinguishes it from others of the same kind."""

        def source(namespace: str) -> Source[T]:
            return ApiSource(
                client=client,
                resource=resource,
                codec=codec,
                namespace=namespace,
                label_selector=label_selector,
                field_selector=field_selector,
                metadata_only=metadata_only,
            )

        return cls(
            name or str(resource),
            source,
            codec,
            clock=clock,
            metrics=metrics,
            indexers=indexers,
            namespaces=namespaces,
            scope=scope,
            idle=idle,
            widen=widen,
            keep_unreadable=keep_unreadable,
            optional=optional,
        )

    def __repr__(self) -> str:
        return f"<Informer {self.name}: {len(self.store)} objects, {self.problem or 'live'}>"

    def on_change(self, handler: Handler[T]) -> None:
        """Call this handler with every change from now on; to be used before `run`."""
        self._handlers.append(handler)

    def on_lost(self, handler: Callable[[], None]) -> None:
        """Call this whenever a list or watch failed or was broken off: the kind may be another one by now."""
        self._on_lost.append(handler)

    def follow(self, namespaces: Iterable[str]) -> None:
        """Follow exactly these namespaces from now on, or all; what was cached of others is dropped."""
        wanted = frozenset(namespaces)
        if ALL_NAMESPACES not in self._wanted or self._widen is None:
            widens = self._widen is not None and len(wanted) > self._widen
            self._wanted = frozenset({ALL_NAMESPACES}) if widens else wanted
        self._narrow()

    def replay(self) -> None:
        """Call the handlers with every cached object, as a full list does: for queues that open only now."""
        self._notify([Change(None, item) for item in self.store], True)

    def offer(self, item: T) -> None:
        """Take in an object that was just read or written, so that no reconcile acts on what was there before.

        One in a namespace that is not followed is left out: nobody would notice when it goes.
        """
        if ALL_NAMESPACES not in self._namespaces and item.metadata.namespace not in self._namespaces:
            return
        self._emit(self.store.put(item), False)

    def forget(self, item: T) -> None:
        """Take note that this very object is gone."""
        self._emit(self.store.delete(item.metadata.key, item.metadata.uid), False)

    @property
    def namespaces(self) -> frozenset[str]:
        """The namespaces that are followed; `ALL_NAMESPACES` stands for all."""
        return self._namespaces

    @property
    def synced(self) -> bool:
        """Whether every followed namespace was listed in full at least once."""
        return all(
            (reflector := self._reflectors.get(namespace)) is not None and reflector.synced
            for namespace in self._namespaces
        )

    def synced_in(self, namespace: str) -> bool:
        """Whether the objects of this namespace are known: it is followed and was listed in full."""
        followed = ALL_NAMESPACES if ALL_NAMESPACES in self._namespaces else namespace
        reflector = self._reflectors.get(followed)
        return followed in self._namespaces and reflector is not None and reflector.synced

    @property
    def problem(self) -> str:
        """Why the cache does not follow the server now; empty if it does."""
        for namespace in sorted(self._namespaces):
            reflector = self._reflectors.get(namespace)
            if self._optional and reflector is not None and _is_gone(reflector.state):
                continue
            if reflector is None or not reflector.state.live:
                where = f" in {namespace}" if namespace else ""
                return f"{self.name}{where}: {reflector.state.problem if reflector else 'not started'}"
        return ""

    @property
    def gone(self) -> bool:
        """Whether the server has answered that it does not serve the kind."""
        return any(_is_gone(reflector.state) for reflector in self._reflectors.values())

    async def wait_synced(self) -> None:
        """Return once `synced`; wait for ever if a kind cannot be listed (readiness names it)."""
        while not self.synced:
            self._progress.clear()
            await self._progress.wait()

    async def run(self) -> None:
        """Run a supervised reflector for each followed namespace until cancelled."""
        tasks: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                self._changed.clear()
                for namespace in self._namespaces - tasks.keys():
                    reflector = self._reflectors[namespace] = self._reflector(namespace)
                    tasks[namespace] = group.create_task(self._reflect(reflector), name=f"{self.name} {namespace}")
                for namespace in tasks.keys() - self._namespaces:
                    task = tasks.pop(namespace)
                    task.cancel()
                    await asyncio.wait([task])
                    del self._reflectors[namespace]
                    if ALL_NAMESPACES not in self._namespaces:  # else its objects are still followed
                        self._emit(self.store.drop(namespace), False)
                self._on_state()
                await self._changed.wait()

    async def _reflect(self, reflector: Reflector[T]) -> None:
        await supervise(f"reflector {self.name}", reflector.run, clock=self._clock, metrics=self._metrics)

    def _reflector(self, namespace: str) -> Reflector[T]:
        def on_state() -> None:
            if _is_lost(reflector.state):
                for handler in self._on_lost:
                    handler()
            self._on_state()

        reflector = Reflector(
            name=self.name,
            source=self._source(namespace),
            codec=self._codec,
            store=self.store,
            emit=self._emit,
            clock=self._clock,
            namespace=namespace,
            idle=self.idle,
            on_state=on_state,
            on_relist=self._on_relist,
        )
        return reflector

    def _on_relist(self) -> None:
        self._relists.inc()
        self._progress.set()

    def _narrow(self) -> None:
        namespaces = self._wanted if self._scope is None else self._scope.narrow(self._wanted)
        if namespaces != self._namespaces:
            self._namespaces = namespaces
            self._changed.set()
            self._progress.set()

    def _on_state(self) -> None:
        if self._scope is not None:
            for namespace, reflector in self._reflectors.items():
                if isinstance(reflector.state, Failed) and reflector.state.refused:
                    self._scope.doubt(namespace)
        self._live.set(0 if self.problem else 1)
        self._progress.set()

    def _emit(self, changes: list[Change[T]], listed: bool) -> None:
        self._events.inc(len(changes))
        self._notify(changes, listed)

    def _notify(self, changes: Iterable[Change[T]], listed: bool) -> None:
        for change in changes:
            for handler in self._handlers:
                try:
                    handler(change, listed)
                except Exception:
                    self._metrics.handler_errors.labels(self.name).inc()
                    log.exception("event handler failed", resource=self.name, object=str(change.key))


def _is_gone(state: State) -> bool:
    return isinstance(state, (Failed, Listing)) and state.gone


def _is_lost(state: State) -> bool:
    match state:
        case Failed():
            return not state.refused
        case Opening(place):
            return place.doubted
    return False
