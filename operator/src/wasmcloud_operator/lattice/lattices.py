"""The lattices in use, each with its routes, wadm, hosts and pushes, and one stream of events of them all.

There is one `Lattice` for each identity. A route whose identity is not known yet has one of its own, until its server
proves that it leads to a lattice that is there already: then that one takes the route over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context
from types import TracebackType
from typing import Self

import structlog

from wasmcloud_operator.lattice.clock import Clock, SystemClock
from wasmcloud_operator.lattice.configservice import ConfigService, Labels
from wasmcloud_operator.lattice.connection import Connection
from wasmcloud_operator.lattice.connection_pool import ConnectionPool
from wasmcloud_operator.lattice.connection_types import ConnectionState, Span, Timing, no_span
from wasmcloud_operator.lattice.control import ControlReader, ControlWriter
from wasmcloud_operator.lattice.host_types import Change, Host
from wasmcloud_operator.lattice.hosts import LiveHosts
from wasmcloud_operator.lattice.identity import Evidence, LatticeIdentity, LatticeRoute, account_of
from wasmcloud_operator.lattice.ledger import AppsListed, AppsNotListed, EntryChanged, Ledger
from wasmcloud_operator.lattice.listing import AppLister
from wasmcloud_operator.lattice.proof import leads_to_one
from wasmcloud_operator.lattice.registry import RegistryCredential
from wasmcloud_operator.lattice.routes import RoutedChannel
from wasmcloud_operator.lattice.wadm import WadmReader, WadmWriter
from wasmcloud_operator.lattice.wadm_events import (
    ManifestPublished,
    ManifestUnpublished,
    StatusPushed,
    WadmEvent,
    subscribe_wadm,
)
from wasmcloud_operator.lattice.write_gate import WriteGate

_log = structlog.get_logger(__name__)

_RESTART_AFTER = 5.0

LatticeEvent = ConnectionState | WadmEvent | Change | AppsListed | AppsNotListed | EntryChanged
CredentialsFor = Callable[["Lattice", Labels], Awaitable[Mapping[str, RegistryCredential] | None]]
EventListener = Callable[["Lattice", LatticeEvent], None]
MoveListener = Callable[[str, "Lattice"], None]


class Lattice:
    """One lattice in use: `wadm`, `control`, `hosts`, `ledger` to ask, `…_writer` to change things."""

    def __init__(
        self, route: LatticeRoute, connections: ConnectionPool, clock: Clock, tell: EventListener, gate: WriteGate
    ) -> None:
        self.name, control_prefix, wadm_prefix = self.subjects = route.subjects
        self.connection = RoutedChannel(clock)
        self.evidence = Evidence()
        self._connections = connections
        self._ids: dict[str, None] = {}
        self.add(route)
        self.wadm_writer = WadmWriter(self.connection, self.name, prefix=wadm_prefix, gate=gate)
        self.wadm: WadmReader = self.wadm_writer
        self.control_writer = ControlWriter(self.connection, self.name, prefix=control_prefix, gate=gate)
        self.control: ControlReader = self.control_writer
        self.hosts = LiveHosts(self.connection, self.control, clock=clock)
        self.ledger = Ledger(self.name, clock=clock)
        self._lister = AppLister(self.connection, self.wadm, self.ledger, clock=clock, tell=self._event)
        self._clock = clock
        self._tell = tell

    def __repr__(self) -> str:
        return f"<Lattice {self.name} on {self.connection!r}>"

    @property
    def identity(self) -> LatticeIdentity:
        """Its name and ids, former routes' included: they lead to the same lattice."""
        return LatticeIdentity(self.name, next(iter(self._ids)), frozenset(self._ids))

    @property
    def identified(self) -> bool:
        """Whether it is known to which system and account its routes lead."""
        return bool(self.evidence.servers)

    def add(self, route: LatticeRoute) -> None:
        """Use one more route."""
        self.connection.add(route, self._connections.acquire(route.spec))
        self._ids |= dict.fromkeys(route.ids)

    def drop(self, route: LatticeRoute) -> None:
        """Use a route no more; its ids stay known."""
        self.connection.drop(route)
        self.evidence.forget(route)

    def absorb(self, other: Lattice) -> None:
        """Take the routes of another object for the same lattice."""
        self.connection.take_over(other.connection)
        self.evidence.absorb(other.evidence)
        self._ids |= other._ids

    async def run(self, credentials_for: CredentialsFor | None) -> None:
        """Listen and keep the hosts until cancelled; what fails unexpectedly is started anew."""
        unlisten = [self.connection.listen(self._event), self.hosts.listen(self._event)]
        try:
            while True:
                try:
                    await self._run(credentials_for)
                except Exception:  # noqa: BLE001 - logged with its trace
                    _log.exception("lattice.restarted", lattice=self.name)
                await self._clock.sleep(_RESTART_AFTER)
        finally:
            for end in unlisten:
                end()

    def close(self) -> None:
        """Give the connections back; `run` has ended or never began."""
        self.connection.close()

    async def _run(self, credentials_for: CredentialsFor | None) -> None:
        subscriptions = await subscribe_wadm(self.connection, self.wadm.subjects, self._event)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.connection.run())
                tasks.create_task(self.hosts.run())
                tasks.create_task(self._lister.run())
                if credentials_for is not None:
                    tasks.create_task(self._serve_config(credentials_for))
        finally:
            for subscription in subscriptions:
                await subscription.unsubscribe()

    async def _serve_config(self, credentials_for: CredentialsFor) -> None:
        async def for_host(labels: Labels) -> Mapping[str, RegistryCredential] | None:
            return await credentials_for(self, labels)

        await ConfigService(self.connection, self.name, for_host, clock=self._clock).run()

    def _event(self, event: LatticeEvent) -> None:
        if isinstance(event, ConnectionState):
            self._lister.connection_changed()
        elif isinstance(event, StatusPushed | ManifestPublished | ManifestUnpublished):
            self._lister.request_refresh()
            if self.ledger.take_event(event):
                self._tell(self, EntryChanged(event.name))
        self._tell(self, event)


class Lattices:
    """The lattices in use, by who uses them. A lattice lives while it has a holder.

    Use it as `async with Lattices(gate=…) as lattices:`; leaving ends all of them. With `credentials_for` (or after
    `answer_hosts`) the hosts' config service requests are answered.
    """

    def __init__(
        self,
        *,
        gate: WriteGate,
        clock: Clock | None = None,
        timing: Timing | None = None,
        credentials_for: CredentialsFor | None = None,
        span: Span = no_span,
    ) -> None:
        self._clock = clock or SystemClock()
        self._connections = ConnectionPool(clock=self._clock, timing=timing, span=span)
        self._tasks = asyncio.TaskGroup()
        self._credentials_for = credentials_for
        self._ours: Callable[[Host], bool] = lambda _: False
        self._gate = gate
        self._held: dict[str, Lattice] = {}
        self._wanted: dict[str, LatticeRoute] = {}  # what each holder asked for, if by a route
        self._running: dict[Lattice, asyncio.Task[None]] = {}
        # Invariant: each wanted route is here, and so is each route of a lattice that runs.
        self._led_to: dict[LatticeRoute, Lattice] = {}
        self._identifying: dict[LatticeRoute, asyncio.Task[None]] = {}  # invariant: its keys are those of `_led_to`
        self._listeners: list[EventListener] = []
        self._move_listeners: list[MoveListener] = []

    def __repr__(self) -> str:
        return f"<Lattices {list(self.all)}>"

    def prefer_hosts(self, ours: Callable[[Host], bool]) -> None:
        """Keep these hosts before others where a lattice has more than fits, in lattices that are not held yet."""
        self._ours = ours

    def answer_hosts(self, credentials_for: CredentialsFor) -> None:
        """Answer the hosts' config service requests from now on, in lattices that are not held yet."""
        self._credentials_for = credentials_for

    @property
    def all(self) -> tuple[Lattice, ...]:
        """Every lattice in use."""
        return tuple(self._running)

    def hold(self, holder: str, route: LatticeRoute) -> Lattice:
        """The lattice to which `route` leads, kept for `holder` (say `WasmCloudHostConfig a/b`).

        While the route of a holder that has a lattice leads nobody knows where, the holder stays in that lattice; the
        listeners of `listen_to_moves` hear when it has moved.
        """
        lattice = self._led_to.get(route) or self._lead(route)
        before, wanted = self._held.get(holder), self._wanted.get(holder)
        self._wanted[holder] = route
        if before is None or lattice.identified or not before.identified or before.subjects != lattice.subjects:
            self._held[holder] = lattice
        if before is not None and (wanted != route or before is not self._held[holder]):
            self._tidy()  # all lattices are looked at, so not where nothing can have become unused
        return self._held[holder]

    def keep(self, holder: str, lattice: Lattice) -> None:
        """Keep a lattice in use for `holder`, instead of what it held before."""
        self._wanted.pop(holder, None)
        self._held[holder] = lattice
        self._tidy()

    def release(self, holder: str) -> None:
        """`holder` uses no lattice any more; harmless when it used none."""
        self._held.pop(holder, None)
        self._wanted.pop(holder, None)
        self._tidy()

    def held_by(self, holder: str) -> Lattice | None:
        """The lattice that `holder` uses."""
        return self._held.get(holder)

    def route_state(self, holder: str) -> ConnectionState | None:
        """The state of the route by which `holder` asked for its lattice; None if it asked for none."""
        route = self._wanted.get(holder)
        return self._led_to[route].connection.routes[route].state if route is not None else None

    def all_holders(self) -> tuple[str, ...]:
        """Who uses a lattice."""
        return tuple(self._held)

    def holders(self, lattice: Lattice) -> tuple[str, ...]:
        """Who uses the lattice."""
        return tuple(holder for holder, held in self._held.items() if held is lattice)

    def listen(self, listener: EventListener) -> Callable[[], None]:
        """Call `listener` with each lattice's events: its connection's state, wadm's pushes, changes of its hosts.

        Gives the function that ends it. The listener must not block; it should do no more than enqueue keys. After a
        connected state everything has to be looked at again: what happened before is not told.
        """
        self._listeners.append(listener)

        def end() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return end

    def listen_to_moves(self, listener: MoveListener) -> None:
        """Call `listener` with each holder whose lattice has become another object, and that one."""
        self._move_listeners.append(listener)

    def _lead(self, route: LatticeRoute) -> Lattice:
        """The lattice of a new route: a known one that is surely the same, else its own until more is proved."""
        for known, lattice in self._led_to.items():
            if known.surely_leads_where(route):
                lattice.add(route)
                self._watch(lattice, route)
                return lattice
        lattice = Lattice(route, self._connections, self._clock, self._tell, self._gate)
        lattice.hosts.prefer(self._ours)
        task = self._tasks.create_task(
            lattice.run(self._credentials_for), name=f"lattice {route.name}", context=Context()
        )
        # Not in the task's own `finally`: a task that is cancelled before its first step runs none of it.
        task.add_done_callback(lambda _: lattice.close())
        self._running[lattice] = task
        self._watch(lattice, route)
        return lattice

    def _watch(self, lattice: Lattice, route: LatticeRoute) -> None:
        """Have the server looked at each time that the route connects."""
        self._led_to[route] = lattice
        identify = self._identify(route, lattice.connection.routes[route])
        self._identifying[route] = self._tasks.create_task(
            identify, name=f"identify lattice {route.name}", context=Context()
        )

    async def _identify(self, route: LatticeRoute, connection: Connection) -> None:
        """Learn where a route leads, each time that it connects, until cancelled."""
        changed = asyncio.Event()
        unlisten = connection.listen(lambda _: changed.set())
        try:
            while True:
                changed.clear()
                server = connection.server
                if connection.state.connected and server is not None:
                    account = await account_of(connection, route.spec)
                    try:
                        self._led_to[route].evidence.take(route, server, account)
                        await self._learnt(self._led_to[route])
                    except Exception:  # noqa: BLE001 - logged with its trace; the other lattices go on
                        _log.exception("lattice.not_identified", lattice=route.name)
                await changed.wait()
        finally:
            unlisten()

    async def _learnt(self, lattice: Lattice) -> None:
        """A lattice's identity is known, or known better."""
        for other in self.all:
            if other is lattice or not await self._are_one(other, lattice):
                continue
            if other in self._running and lattice in self._running:  # neither has ended while the proof was made
                lattice = self._merge(other, lattice)
        for holder, route in tuple(self._wanted.items()):
            if self._led_to[route] is lattice and self._held[holder] is not lattice:
                self._move(holder, lattice)
        self._tidy()

    async def _are_one(self, one: Lattice, another: Lattice) -> bool:
        if one.subjects != another.subjects or not one.evidence.suggests_same(another.evidence):
            return False
        if one.evidence.proves_same(another.evidence):
            return True
        return await leads_to_one(one.connection, another.connection)

    def _merge(self, one: Lattice, another: Lattice) -> Lattice:
        """Join two objects that proved to be one lattice. Returns the one that stays, which is known longer."""
        kept, gone = sorted((one, another), key=self.all.index)
        _log.info("lattice.routes_joined", lattice=kept.name, ids=sorted({*kept.identity.ids, *gone.identity.ids}))
        self._led_to.update(dict.fromkeys(gone.connection.routes, kept))
        kept.absorb(gone)
        for holder in self.holders(gone):
            self._move(holder, kept)
        self._end(gone)
        return kept

    def _move(self, holder: str, lattice: Lattice) -> None:
        self._held[holder] = lattice
        for listener in self._move_listeners:
            listener(holder, lattice)

    def _tidy(self) -> None:
        """End the lattices that nobody holds, and the routes that nobody wants where another one is up."""
        wanted = set(self._wanted.values())
        used = {*self._held.values(), *(self._led_to[route] for route in wanted)}
        for lattice in [lattice for lattice in self._running if lattice not in used]:
            self._end(lattice)
        for lattice in used:
            self._drop_routes(lattice, wanted)

    def _drop_routes(self, lattice: Lattice, wanted: set[LatticeRoute]) -> None:
        routes = lattice.connection.routes
        if any(connection.state.connected for route, connection in routes.items() if route in wanted):
            for route in [route for route in routes if route not in wanted]:
                lattice.drop(route)
                self._unwatch(route)

    def _end(self, lattice: Lattice) -> None:
        for route in lattice.connection.routes:
            self._unwatch(route)
        self._running.pop(lattice).cancel()

    def _unwatch(self, route: LatticeRoute) -> None:
        del self._led_to[route]
        self._identifying.pop(route).cancel()

    def _tell(self, lattice: Lattice, event: LatticeEvent) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(lattice, event)
            except Exception:  # noqa: BLE001 - logged with its trace
                _log.exception("lattice.listener_failed", lattice=lattice.name)

    async def __aenter__(self) -> Self:
        await self._connections.__aenter__()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for lattice in self.all:
            self._end(lattice)
        # A task group would wrap the body's own error into an ExceptionGroup; only a cancellation is its business.
        cancelled = kind is not None and issubclass(kind, asyncio.CancelledError)
        try:
            await self._tasks.__aexit__(*((kind, error, trace) if cancelled else (None, None, None)))
        finally:
            await self._connections.__aexit__(None, None, None)
