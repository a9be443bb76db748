"""The manager: which informers there are, and in which order everything starts, leads and stops.

Start: informers fill their caches, and the endpoint shows what they wait for. Then, with the Lease in hand if there is
an elector, every cached object is put into the queues and the controllers work. Stop: no more work is taken, what is in
progress ends, what was reported is sent, and the Lease is given back.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar

import structlog

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.codec import Codec
from wasmcloud_operator.kube.controller import Controller
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.lease import Elector
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.namespaces import ALL_NAMESPACES, Scope
from wasmcloud_operator.kube.objects import HasMetadata
from wasmcloud_operator.kube.resources import Resource
from wasmcloud_operator.kube.store import Indexer
from wasmcloud_operator.kube.supervise import supervise

log = structlog.get_logger()

T = TypeVar("T", bound=HasMetadata)
Run = Callable[[], Coroutine[Any, Any, None]]

# SIGTERM to end in under five seconds: the work in progress gets most of it, the Lease and the Events the rest.
_DRAIN_SECONDS = 3.0
_FLUSH_SECONDS = 0.5


class ContradictoryRequests(Exception):
    """One informer was asked for in two ways that do not go together: a mistake in the wiring."""


class Watched(Protocol):
    """Something whose problems count for the readiness."""

    @property
    def problems(self) -> Sequence[str]:
        """What is wrong now, a line each."""

    @property
    def notes(self) -> Sequence[str]:
        """What whoever looks should know besides, though all is well enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InformerRequest:
    """What an informer is asked to be."""

    resource: Resource
    codec: Codec[Any]
    indexers: Mapping[str, Indexer[Any]]
    namespaces: tuple[str, ...]
    label_selector: str = ""
    metadata_only: bool = False
    optional: bool = False
    widen: int | None = None
    keep_unreadable: bool = False


@dataclass(slots=True, kw_only=True)
class Informers:
    """The table of informers by name: one for each kind and purpose, whoever asks for it.

    A second request for one has to be the same as the first. `everywhere` are those that follow the whole scope.
    """

    client: Reader
    scope: Scope
    clock: Clock
    metrics: Metrics
    by_name: dict[str, Informer[Any]] = field(default_factory=dict)
    everywhere: list[Informer[Any]] = field(default_factory=list)
    _requests: dict[str, InformerRequest] = field(default_factory=dict)

    def get(
        self,
        resource: Resource,
        codec: Codec[T],
        *,
        purpose: str = "",
        indexers: Mapping[str, Indexer[T]] | None = None,
        namespaces: Iterable[str] | None = None,
        label_selector: str = "",
        metadata_only: bool = False,
        optional: bool = False,
        widen: int | None = None,
        keep_unreadable: bool = False,
    ) -> Informer[T]:
        """Returns the informer of a kind for a purpose: made for the first who asks, and the same for all others.

        `namespaces` None: all of the scope. A namespace in which an `optional` one must not list is not left out, and
        that its kind is served no more is no problem.
        Raises ContradictoryRequests.
        """
        name = f"{resource} ({purpose})" if purpose else str(resource)
        followed = self.scope.wanted if namespaces is None else tuple(namespaces)
        request = InformerRequest(
            resource=resource,
            codec=codec,
            indexers=dict(indexers or {}),
            namespaces=followed,
            label_selector=label_selector,
            metadata_only=metadata_only,
            optional=optional,
            widen=widen,
            keep_unreadable=keep_unreadable,
        )
        if name in self.by_name:
            if request != self._requests[name]:
                raise ContradictoryRequests(f"informer {name}: {request}, but before {self._requests[name]}")
            return self.by_name[name]
        made: Informer[T] = Informer.on_api(
            self.client,
            resource,
            codec,
            clock=self.clock,
            metrics=self.metrics,
            indexers=indexers,
            namespaces=followed,
            scope=self.scope,
            label_selector=label_selector,
            metadata_only=metadata_only,
            name=name,
            widen=widen if self.scope.wanted == (ALL_NAMESPACES,) else None,
            keep_unreadable=keep_unreadable,
            optional=optional,
        )
        self._requests[name], self.by_name[name] = request, made
        if not optional:
            self.scope.need(resource)
        if namespaces is None:
            self.everywhere.append(made)
        return made

    def made(self, resource: Resource) -> Informer[Any]:
        """Returns the informer that another part has asked for. Raises KeyError if none has."""
        return self.by_name[str(resource)]


class Manager:
    """Runs informers, controllers and what works beside them, from start to stop."""

    def __init__(
        self,
        informers: Informers,
        controllers: Sequence[Controller[Any]],
        *,
        elector: Elector | None = None,
        flush: Run | None = None,
        beside: Mapping[str, Run] | None = None,
        watched: Sequence[Watched] = (),
    ) -> None:
        """`beside` runs from the start, leading or not; `flush` sends what was reported, while writing is allowed."""
        lease = (elector.informer,) if elector is not None else ()
        self.informers: tuple[Informer[Any], ...] = (*informers.by_name.values(), *lease)
        self.controllers = tuple(controllers)
        self.leading = False
        self._scope = informers.scope
        self._clock = informers.clock
        self._metrics = informers.metrics
        self._elector = elector
        self._flush = flush
        self._beside = dict(beside or {})
        self._watched = (*watched, informers.scope)

    @property
    def problems(self) -> list[str]:
        """Why this process is not ready, a line each; none if every cache follows the API server now."""
        missing = [problem for watched in self._watched for problem in watched.problems]
        return [*missing, *(informer.problem for informer in self.informers if informer.problem)]

    @property
    def notes(self) -> list[str]:
        """What is worth knowing besides."""
        return [note for watched in self._watched for note in watched.notes]

    def state(self) -> JsonObject:
        """Returns what each controller and the election do now, to be looked at."""
        lease = self._elector.state() if self._elector is not None else None
        return {"lease": lease, "controllers": {controller.name: controller.state() for controller in self.controllers}}

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set, then end in order. Raises LeaseLost if another may lead now."""
        async with background(self._tasks()):
            leading = asyncio.create_task(self._lead(stop), name="leader")
            stopping = asyncio.create_task(stop.wait(), name="stop")
            try:
                await asyncio.wait({leading, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not self.leading and (self._elector is None or self._elector.remaining() <= 0):
                    leading.cancel()  # who has just taken the Lease gives it back by itself
                await asyncio.wait({leading})
            finally:  # also when this is cancelled itself: nobody leads on unwatched
                leading.cancel()
                stopping.cancel()
                await asyncio.wait({leading, stopping})
            if not leading.cancelled():
                leading.result()

    def _tasks(self) -> Iterable[tuple[str, Run]]:
        tasks = {f"informer {informer.name}": informer.run for informer in self.informers}
        for name, run in {**tasks, "namespaces": self._scope.run, **self._beside}.items():
            yield name, partial(supervise, name, run, clock=self._clock, metrics=self._metrics)

    async def _lead(self, stop: asyncio.Event) -> None:
        for informer in self.informers:
            await informer.wait_synced()
        gc.collect()
        gc.freeze()  # what the caches hold now lives long; full collections need not walk it
        log.info("caches filled", objects={informer.name: len(informer.store) for informer in self.informers})
        if self._elector is not None:
            await self._elector.run(partial(self._control, stop))
            return
        self._metrics.leader.labels("").set(1)  # or it would look as if nobody led
        await self._control(stop)

    async def _control(self, stop: asyncio.Event) -> None:
        """Run the controllers until `stop` is set, let the work in progress end, then send what was reported."""
        self.leading = True
        for controller in self.controllers:
            controller.start()
        for informer in self.informers:
            informer.replay()
        async with background((controller.name, controller.run) for controller in self.controllers):
            await stop.wait()
            await asyncio.gather(*(controller.drain(_DRAIN_SECONDS) for controller in self.controllers))
        if self._flush is not None:
            with contextlib.suppress(TimeoutError):  # while the gate is open
                async with self._clock.timeout(_FLUSH_SECONDS):
                    await self._flush()


@contextlib.asynccontextmanager
async def background(tasks: Iterable[tuple[str, Run]]) -> AsyncIterator[None]:
    """Run the tasks while the scope is open; the first that fails cancels the scope and raises its error there."""
    try:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(run(), name=name) for name, run in tasks]
            try:
                yield
            finally:
                for task in running:
                    task.cancel()
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
