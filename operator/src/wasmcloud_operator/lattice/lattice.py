"""One lattice in use: its routes, wadm, hosts and pushes, and the stream of its events."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping

import structlog

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.base.write_gate import WriteGate
from wasmcloud_operator.lattice.configservice import ConfigService, Labels
from wasmcloud_operator.lattice.connection_pool import ConnectionPool
from wasmcloud_operator.lattice.connection_types import ConnectionState
from wasmcloud_operator.lattice.control import ControlReader, ControlWriter, RegistryCredential
from wasmcloud_operator.lattice.host_types import InventoryChange
from wasmcloud_operator.lattice.hosts import LiveHosts
from wasmcloud_operator.lattice.identity import Evidence, LatticeIdentity, LatticeRoute
from wasmcloud_operator.lattice.ledger import AppsListed, AppsNotListed, EntryChanged, Ledger
from wasmcloud_operator.lattice.listing import AppLister
from wasmcloud_operator.lattice.room import Room
from wasmcloud_operator.lattice.routes import RoutedChannel
from wasmcloud_operator.lattice.wadm import WadmReader, WadmWriter
from wasmcloud_operator.lattice.wadm_events import (
    ManifestPublished,
    ManifestUnpublished,
    StatusPushed,
    WadmEvent,
    subscribe_wadm,
)

_log = structlog.get_logger(__name__)

_RESTART_AFTER = 5.0

LatticeEvent = ConnectionState | WadmEvent | InventoryChange | AppsListed | AppsNotListed | EntryChanged
CredentialsFor = Callable[["Lattice", Labels], Awaitable[Mapping[str, RegistryCredential] | None]]
EventListener = Callable[["Lattice", LatticeEvent], None]


class Lattice:
    """One lattice in use: `wadm`, `control`, `hosts`, `ledger` to ask, `…_writer` to change things."""

    def __init__(
        self,
        *,
        number: int,
        route: LatticeRoute,
        connections: ConnectionPool,
        clock: Clock,
        listener: EventListener,
        gate: WriteGate,
        room: Room,
    ) -> None:
        self.number = number  # the lattice with the lowest is known longest
        self.name, control_prefix, wadm_prefix = self.subjects = route.subjects
        self.connection = RoutedChannel(clock)
        self.evidence = Evidence()
        self._connections = connections
        self._identity = route.identity
        self._ids: dict[str, None] = {}
        self.add(route)
        self.wadm_writer = WadmWriter(self.connection, self.name, prefix=wadm_prefix, gate=gate)
        self.wadm: WadmReader = self.wadm_writer
        self.control_writer = ControlWriter(self.connection, self.name, prefix=control_prefix, gate=gate)
        self.control: ControlReader = self.control_writer
        self.hosts = LiveHosts(self.connection, self.control, clock=clock, room=room)
        self.ledger = Ledger(self.name, clock=clock, room=room)
        self._lister = AppLister(self.connection, self.wadm, self.ledger, clock=clock, notify=self._event)
        self._clock = clock
        self._notify = listener

    def __repr__(self) -> str:
        return f"<Lattice {self.name} on {self.connection!r}>"

    @property
    def identity(self) -> LatticeIdentity:
        """Its name and ids, former routes' included: they lead to the same lattice."""
        return self._identity

    @property
    def identified(self) -> bool:
        """Whether it is known to which system and account its routes lead."""
        return bool(self.evidence.servers)

    @property
    def signs(self) -> frozenset[Hashable]:
        """Of which another lattice has one at least if it may be the same."""
        return frozenset(("sign", self.subjects, sign) for sign in self.evidence.signs)

    @property
    def traits(self) -> frozenset[Hashable]:
        """The keys of the look-ups: ids, places to which its routes surely lead, and signs."""
        places = {route.place for route in self.connection.routes} - {None}
        ids = (("id", one) for one in self._ids)
        return self.signs.union(ids, (("place", place) for place in places))

    def add(self, route: LatticeRoute) -> None:
        """Use one more route."""
        self.connection.add(route, self._connections.acquire(route.spec))
        self._add_ids(route.ids)

    def drop(self, route: LatticeRoute) -> None:
        """Use a route no more; its ids stay known."""
        self.connection.drop(route)
        self.evidence.forget(route)

    def absorb(self, other: Lattice) -> None:
        """Take the routes of another object for the same lattice."""
        self.connection.take_over(other.connection)
        self.evidence.absorb(other.evidence)
        self._add_ids(other._ids)

    def _add_ids(self, ids: Iterable[str]) -> None:
        self._ids |= dict.fromkeys(ids)
        self._identity = LatticeIdentity(self.name, next(iter(self._ids)), frozenset(self._ids))

    async def run(self, credentials_for: CredentialsFor | None) -> None:
        """Listen and keep the hosts until cancelled; what fails unexpectedly is started anew."""
        unlisten = [self.connection.listen(self._event), self.hosts.listen(self._event)]
        try:
            while True:
                try:
                    await self._run(credentials_for)
                except Exception:  # noqa: BLE001 - logged with its trace
                    _log.exception("lattice task died; starting it again", lattice=self.name)
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
                self._notify(self, EntryChanged(event.name))
        self._notify(self, event)
