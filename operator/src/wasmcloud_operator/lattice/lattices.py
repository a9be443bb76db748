"""The lattices in use, by who uses them, and one stream of the events of all of them.

There is one `Lattice` for each identity. A route whose identity is not known yet has one of its own, until its server
proves that it leads to a lattice that is there already: then that one takes the route over.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Hashable, Iterable
from contextvars import Context
from types import TracebackType
from typing import Self

import structlog

from wasmcloud_operator.base.clock import SYSTEM_CLOCK, Clock
from wasmcloud_operator.base.write_gate import WriteGate
from wasmcloud_operator.lattice.connection import Connection
from wasmcloud_operator.lattice.connection_pool import ConnectionPool
from wasmcloud_operator.lattice.connection_types import ConnectionState, ServerInfo, Span, Timing, no_span
from wasmcloud_operator.lattice.host_types import Host
from wasmcloud_operator.lattice.identity import LatticeRoute, account_of
from wasmcloud_operator.lattice.indexed import Grouped, Traits
from wasmcloud_operator.lattice.lattice import CredentialsFor, EventListener, Lattice, LatticeEvent
from wasmcloud_operator.lattice.listeners import Listeners
from wasmcloud_operator.lattice.natsclient import NatsClient, NewClient
from wasmcloud_operator.lattice.proof import leads_to_one
from wasmcloud_operator.lattice.room import Room

_log = structlog.get_logger(__name__)

# Each costs two subscriptions and twenty messages in two seconds where the claim is false, and whoever makes false ones
# makes as many lattices: of one lattice so many are under way, and of all.
_PROOFS_AT_ONCE = 4
_ALL_PROOFS_AT_ONCE = 64

MoveListener = Callable[[str, "Lattice"], None]


class Lattices:
    """The lattices in use, by who uses them. A lattice lives while it has a holder.

    Use it as `async with Lattices(gate=…) as lattices:`; leaving ends all of them. After `answer_hosts` the hosts'
    config service requests are answered.
    """

    def __init__(
        self,
        *,
        gate: WriteGate,
        clock: Clock | None = None,
        timing: Timing | None = None,
        span: Span = no_span,
        new_client: NewClient = NatsClient,
    ) -> None:
        self._clock = clock or SYSTEM_CLOCK
        self._connections = ConnectionPool(clock=self._clock, timing=timing, span=span, new_client=new_client)
        self._tasks = asyncio.TaskGroup()
        self._credentials_for: CredentialsFor | None = None
        self._pod_of: Callable[[Host], str] = lambda _: ""
        self._gate = gate
        self._room = Room()
        self._proofs = asyncio.Semaphore(_ALL_PROOFS_AT_ONCE)
        self._held: Grouped[str, Lattice] = Grouped()
        self._wanted: Grouped[str, LatticeRoute] = Grouped()  # what each holder asked for, if by a route
        self._numbers = itertools.count()
        self._running: dict[Lattice, asyncio.Task[None]] = {}
        # Invariant: each wanted route is here, and so is each route of a lattice that runs.
        self._led_to: dict[LatticeRoute, Lattice] = {}
        self._identifying: dict[LatticeRoute, asyncio.Task[None]] = {}  # invariant: it has the keys of `_led_to`
        # Invariant: by what each lattice that runs is found now.
        self._traits: Traits[Lattice, Hashable] = Traits()
        self._listeners = Listeners[Lattice, LatticeEvent](
            lambda lattice, _: _log.exception("listener failed", lattice=lattice.name)
        )
        self._move_listeners: list[MoveListener] = []

    def __repr__(self) -> str:
        return f"<Lattices {list(self.all)}>"

    def prefer_hosts(self, pod_of: Callable[[Host], str]) -> None:
        """Keep hosts in pods of ours (see `LiveHosts.prefer`) before others, in lattices that are not held yet."""
        self._pod_of = pod_of

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
        self._wanted.put(holder, route)
        if before is None or lattice.identified or not before.identified or before.subjects != lattice.subjects:
            self._held.put(holder, lattice)
        if before is not None and (wanted != route or before is not self._held[holder]):
            self._tidy(before, lattice, self._lattice_of(wanted))
        return self._held[holder]

    def keep(self, holder: str, lattice: Lattice) -> None:
        """Keep a lattice in use for `holder`, instead of what it held before."""
        before, wanted = self._held.get(holder), self._wanted.pop(holder)
        self._held.put(holder, lattice)
        self._tidy(before, lattice, self._lattice_of(wanted))

    def release(self, holder: str) -> None:
        """`holder` uses no lattice any more; harmless when it used none."""
        held, wanted = self._held.pop(holder), self._wanted.pop(holder)
        self._tidy(held, self._lattice_of(wanted))

    def held_by(self, holder: str) -> Lattice | None:
        """The lattice that `holder` uses."""
        return self._held.get(holder)

    def route_state(self, holder: str) -> ConnectionState | None:
        """The state of the route by which `holder` asked for its lattice; None if it asked for none."""
        route = self._wanted.get(holder)
        return self._led_to[route].connection.routes[route].state if route is not None else None

    def holders(self, lattice: Lattice) -> tuple[str, ...]:
        """Who uses the lattice."""
        return self._held.keys_of(lattice)

    def known_as(self, id_: str) -> tuple[Lattice, ...]:
        """The lattices that have this id among theirs."""
        return self._traits.having(("id", id_))

    def listen(self, listener: EventListener) -> Callable[[], None]:
        """Call `listener` with each lattice's events: its connection's state, wadm's pushes, changes of its hosts.

        Returns the function that ends it. The listener must not block; it should do no more than enqueue keys. After a
        connected state everything has to be looked at again: what happened before is not repeated.
        """
        return self._listeners.add(listener)

    def listen_to_moves(self, listener: MoveListener) -> None:
        """Call `listener` with each holder whose lattice has become another object, and that one."""
        self._move_listeners.append(listener)

    def _lead(self, route: LatticeRoute) -> Lattice:
        """The lattice of a new route: a known one that is surely the same, else its own until more is proved."""
        for lattice in self._traits.having(("place", route.place)) if route.place is not None else ():
            lattice.add(route)
            self._watch(lattice, route)
            return lattice
        lattice = self._start(route)
        self._watch(lattice, route)
        return lattice

    def _start(self, route: LatticeRoute) -> Lattice:
        lattice = Lattice(
            number=next(self._numbers),
            route=route,
            connections=self._connections,
            clock=self._clock,
            listener=self._listeners.notify,
            gate=self._gate,
            room=self._room,
        )
        lattice.hosts.prefer(self._pod_of)
        task = self._tasks.create_task(
            lattice.run(self._credentials_for), name=f"lattice {route.name}", context=Context()
        )
        # Not in the task's own `finally`: a task that is cancelled before its first step runs none of it.
        task.add_done_callback(lambda _: lattice.close())
        self._running[lattice] = task
        return lattice

    def _watch(self, lattice: Lattice, route: LatticeRoute) -> None:
        """Have the server looked at each time that the route connects."""
        self._led_to[route] = lattice
        self._traits.put(lattice, lattice.traits)
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
                    account = await account_of(connection, route.spec, server)
                    try:
                        await self._learnt(route, server, account)
                    except Exception:  # noqa: BLE001 - logged with its trace; the other lattices go on
                        _log.exception("lattice not identified", lattice=route.name)
                await changed.wait()
        finally:
            unlisten()

    async def _learnt(self, route: LatticeRoute, server: ServerInfo, account: str) -> None:
        """Take in what is known of the identity of the lattice to which a route leads.

        It is compared first with those that its holders have instead: they wait for that, and others may claim by the
        thousand to be the same.
        """
        lattice = self._led_to[route]
        known = lattice.evidence.account
        if account and known and account != known and len(lattice.connection.routes) > 1:
            lattice = self._split(lattice, route)
        lattice.evidence.take(route, server, account)
        self._traits.put(lattice, lattice.traits)
        lattice = self._join_evident(lattice)
        lattice = await self._join(lattice, self._held_instead(lattice).values())
        self._settle(lattice)
        lattice = await self._join(lattice, self._alike(lattice))
        self._settle(lattice)

    def _alike(self, lattice: Lattice) -> set[Lattice]:
        """The other lattices that may be the same."""
        return {other for sign in lattice.signs for other in self._traits.having(sign)} - {lattice}

    def _join_evident(self, lattice: Lattice) -> Lattice:
        """Join a lattice with those of the same account and addresses, before anybody sees two. Returns what stays."""
        for other in self._alike(lattice):
            if other.evidence.proves_same(lattice.evidence):
                lattice = self._merge(other, lattice)
        return lattice

    async def _join(self, lattice: Lattice, others: Iterable[Lattice]) -> Lattice:
        """Join a lattice with the others that prove to be the same. Returns the one that stays."""
        limit = asyncio.Semaphore(_PROOFS_AT_ONCE)
        known_longest_first = sorted(set(others) - {lattice}, key=lambda other: other.number)
        async with asyncio.TaskGroup() as proofs:
            proved = {other: proofs.create_task(self._are_one(other, lattice, limit)) for other in known_longest_first}
        for other, proof in proved.items():
            if proof.result() and other in self._running and lattice in self._running:
                lattice = self._merge(other, lattice)
        return lattice

    async def _are_one(self, one: Lattice, another: Lattice, limit: asyncio.Semaphore) -> bool:
        if not one.signs & another.signs:
            return False
        async with limit, self._proofs:
            return await leads_to_one(one.connection, another.connection)

    def _settle(self, lattice: Lattice) -> None:
        """Has the holders that asked for a lattice hold it: by now it is known where its routes lead."""
        left = self._held_instead(lattice)
        for holder in left:
            self._move(holder, lattice)
        self._tidy(lattice, *left.values())

    def _held_instead(self, lattice: Lattice) -> dict[str, Lattice]:
        """Who asked for a lattice and holds another one still, with that one."""
        asked = [holder for route in lattice.connection.routes for holder in self._wanted.keys_of(route)]
        return {holder: held for holder in asked if (held := self._held[holder]) is not lattice}

    def _merge(self, one: Lattice, another: Lattice) -> Lattice:
        """Joins two objects that proved to be one lattice. Returns the object that is known longer, which stays."""
        kept, gone = sorted((one, another), key=lambda lattice: lattice.number)
        _log.info(
            "two routes lead to one lattice", lattice=kept.name, ids=sorted({*kept.identity.ids, *gone.identity.ids})
        )
        self._led_to.update(dict.fromkeys(gone.connection.routes, kept))
        kept.absorb(gone)
        self._traits.put(kept, kept.traits)
        for holder in self.holders(gone):
            self._move(holder, kept)
        self._end(gone)
        return kept

    def _split(self, lattice: Lattice, route: LatticeRoute) -> Lattice:
        """Moves a route that by now leads to another account into a lattice of its own; the others keep the former one.

        Whoever has no credentials for that account would else get into it by the route of somebody who has.
        """
        _log.info("route parted: it leads to another account now", lattice=lattice.name, nats=route.spec.addresses)
        own = self._led_to[route] = self._start(route)
        lattice.drop(route)
        self._traits.put(lattice, lattice.traits)
        return own

    def _move(self, holder: str, lattice: Lattice) -> None:
        self._held.put(holder, lattice)
        for listener in self._move_listeners:
            listener(holder, lattice)

    def _lattice_of(self, route: LatticeRoute | None) -> Lattice | None:
        return self._led_to.get(route) if route is not None else None

    def _tidy(self, *lattices: Lattice | None) -> None:
        """Ends the lattices among these that nobody holds, and routes that nobody wants where another route is up."""
        for lattice in dict.fromkeys(lattices):
            if lattice is None or lattice not in self._running:
                continue
            if self._held.has(lattice) or any(self._wanted.has(route) for route in lattice.connection.routes):
                self._drop_routes(lattice)
            else:
                self._end(lattice)

    def _drop_routes(self, lattice: Lattice) -> None:
        routes = lattice.connection.routes
        if any(connection.state.connected for route, connection in routes.items() if self._wanted.has(route)):
            for route in [route for route in routes if not self._wanted.has(route)]:
                lattice.drop(route)
                self._unwatch(route)
            self._traits.put(lattice, lattice.traits)

    def _end(self, lattice: Lattice) -> None:
        for route in lattice.connection.routes:
            self._unwatch(route)
        self._traits.drop(lattice)
        self._running.pop(lattice).cancel()

    def _unwatch(self, route: LatticeRoute) -> None:
        del self._led_to[route]
        self._identifying.pop(route).cancel()

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
