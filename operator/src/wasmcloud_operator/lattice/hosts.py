"""The hosts of a lattice that are alive now, kept up by their events and checked by asking them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

import structlog

from wasmcloud_operator.base.clock import Clock, sleep_unless
from wasmcloud_operator.lattice.connection_types import Channel, ConnectionState, Message
from wasmcloud_operator.lattice.control import ControlReader
from wasmcloud_operator.lattice.errors import LatticeError, NoResponders
from wasmcloud_operator.lattice.host_events import parse_event
from wasmcloud_operator.lattice.host_types import Host, Instant, InventoryChange
from wasmcloud_operator.lattice.inventory import Hosts, InventoryStep, apply, expire, give_up
from wasmcloud_operator.lattice.listeners import Listeners
from wasmcloud_operator.lattice.room import Room

_log = structlog.get_logger(__name__)

ChangeListener = Callable[[InventoryChange], None]

HEARTBEAT_INTERVAL = 30.0  # what hosts do by default
_ASKERS = 16
_EXPIRE_EVERY = 5.0
_RELIST_AFTER_FAILURE = 5.0


class LiveHosts:
    """Which hosts live and what they run.

    Subscribes to the lattice's events, then lists: a ping to all, then each host's inventory; again at each
    (re)connect and every `resync` seconds. A host that was not heard of for `silent_for` seconds, though it was asked,
    is gone. While NATS is away the last knowledge stands and `synced` is False.
    """

    def __init__(
        self,
        connection: Channel,
        control: ControlReader,
        *,
        clock: Clock,
        silent_for: float = 2.5 * HEARTBEAT_INTERVAL,
        resync: float = 300.0,
        room: Room | None = None,
    ) -> None:
        self._connection = connection
        self._control = control
        self._clock = clock
        self._silent_for = silent_for
        self._resync = resync
        self._room = room or Room()
        self._hosts = Hosts(limit=self._room.limit)
        self._listeners = Listeners[InventoryChange](
            lambda _: _log.exception("listener failed", lattice=control.subjects.lattice)
        )
        self._synced = False
        self._listening_since: float | None = None
        self._list_now = asyncio.Event()
        self._to_ask: dict[str, None] = {}  # ids in the order they came up, each once
        self._asking: set[str] = set()
        self._wake_askers = asyncio.Event()

    def __repr__(self) -> str:
        state = "synced" if self._synced else "not synced"
        return f"<LiveHosts {self._control.subjects.lattice} {len(self._hosts.alive)} hosts {state}>"

    @property
    def hosts(self) -> Mapping[str, Host]:
        """The live hosts by id; the mapping never changes, a later one replaces it."""
        return self._hosts.alive

    @property
    def left_out(self) -> int:
        """How often something that a host reported did not fit into what is kept of a lattice."""
        return self._hosts.left_out

    def prefer(self, pod_of: Callable[[Host], str]) -> None:
        """Have others make room for the hosts in pods of ours: `pod_of` returns which one a host names, "" for none."""
        self._hosts = replace(self._hosts, pod_of=pod_of)

    @property
    def synced(self) -> bool:
        """Whether NATS is connected and all hosts that answer have been asked since it is."""
        return self._synced

    @property
    def settled(self) -> bool:
        """Whether it has been synced for longer than a heartbeat interval: a host unheard of till then is not there.

        Listeners get `Change.synced` when this comes true.
        """
        since = self._listening_since
        return self._synced and since is not None and self._clock.monotonic() - since > HEARTBEAT_INTERVAL

    def listen(self, listener: ChangeListener) -> Callable[[], None]:
        """Call `listener` at each change. Returns the function that ends it. It must not block."""
        return self._listeners.add(listener)

    async def run(self) -> None:
        """Keep the inventory until cancelled."""
        subscription = await self._connection.subscribe(self._control.subjects.events, self._on_message)
        unlisten = self._connection.listen(self._on_connection)
        self._on_connection(self._connection.state)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_listing())
                tasks.create_task(self._keep_expiring())
                for _ in range(_ASKERS):
                    tasks.create_task(self._keep_asking())
        finally:
            unlisten()
            await subscription.unsubscribe()

    def _on_connection(self, state: ConnectionState) -> None:
        if state.connected:
            self._listening_since = self._clock.monotonic()
            self._list_now.set()
        elif self._listening_since is not None:
            self._listening_since = None
            self._set_synced(False)

    def _on_message(self, message: Message) -> None:
        event = parse_event(message.data)
        if event is None:
            _log.debug("host event dropped", subject=message.subject, size=len(message.data))
        else:
            self._take(apply(self._hosts, event, self._now()))

    def _take(self, step: InventoryStep) -> None:
        self._hosts = step.hosts
        self._room.take(self, step.hosts.size)
        for host_id in step.ask - self._asking:
            self._to_ask[host_id] = None
        if step.ask:
            self._wake_askers.set()
        if step.change:
            self._listeners.notify(step.change)

    def _set_synced(self, synced: bool) -> None:
        if synced != self._synced:
            self._synced = synced
            self._listeners.notify(InventoryChange(synced=True))

    async def _keep_listing(self) -> None:
        wait: float | None = None
        while True:
            await (self._list_now.wait() if wait is None else sleep_unless(self._list_now, self._clock, wait))
            self._list_now.clear()
            try:
                await self._list()
                wait = self._resync
            except LatticeError as error:
                _log.info("hosts not listed", lattice=self._control.subjects.lattice, error=str(error))
                wait = _RELIST_AFTER_FAILURE if self._connection.state.connected else None

    async def _list(self) -> None:
        """Ping all hosts, then ask each for its inventory, also known ones that did not answer; then this is synced."""
        answered = await self._control.ping()
        now = self._now()
        for host in answered:
            self._take(apply(self._hosts, host, now, as_of=now.monotonic))
        limit = asyncio.Semaphore(_ASKERS)

        async def ask(host_id: str) -> None:
            async with limit:
                await self._ask(host_id, gone_if_deaf=host_id not in pinged)

        pinged = {host.host_id for host in answered}
        async with asyncio.TaskGroup() as tasks:
            for host_id in tuple(self._hosts.alive):
                tasks.create_task(ask(host_id))
        if self._listening_since is not None:
            self._set_synced(True)

    async def _ask(self, host_id: str, *, gone_if_deaf: bool) -> None:
        """Take a host's inventory.

        `gone_if_deaf`: when nobody listens on its own subject, it is gone. That alone is not enough for a host that was
        heard of: the interest of a host behind leaf nodes can be lost for a moment.
        """
        self._to_ask.pop(host_id, None)
        self._asking.add(host_id)
        as_of = self._clock.monotonic()
        try:
            inventory = await self._control.inventory(host_id)
        except NoResponders:
            host = self._hosts.alive.get(host_id)
            if host is not None and gone_if_deaf and host.last_seen <= as_of:
                self._take(give_up(self._hosts, host_id))
        except LatticeError as error:
            _log.info("inventory of a host not read", host=host_id, error=str(error))  # its next heartbeat has it
        else:
            self._asking.discard(host_id)
            self._take(apply(self._hosts, inventory, self._now(), as_of=as_of))
        finally:
            self._asking.discard(host_id)

    async def _keep_asking(self) -> None:
        while True:
            await self._wake_askers.wait()
            if not self._to_ask:
                self._wake_askers.clear()
                continue
            host_id = next(iter(self._to_ask))
            host = self._hosts.alive.get(host_id)
            await self._ask(host_id, gone_if_deaf=host is not None and not host.inventoried)

    async def _keep_expiring(self) -> None:
        was_settled = False
        while True:
            await self._clock.sleep(_EXPIRE_EVERY)
            if self._listening_since is not None:
                self._take(
                    expire(self._hosts, self._now(), silent_for=self._silent_for, listening_since=self._listening_since)
                )
            if self.settled and not was_settled:
                self._listeners.notify(InventoryChange(synced=True))
            was_settled = self.settled

    def _now(self) -> Instant:
        return Instant(self._clock.monotonic(), self._clock.now())
