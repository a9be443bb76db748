"""The lattices in use, each with its connection, wadm, hosts and pushes, and one stream of news of them all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import structlog

from wasmcloud_operator.lattice.apps import AppsListed, AppsNotListed, LiveApps
from wasmcloud_operator.lattice.clock import Clock, SystemClock
from wasmcloud_operator.lattice.configservice import ConfigService, Labels
from wasmcloud_operator.lattice.connection_pool import ConnectionPool
from wasmcloud_operator.lattice.connection_types import ConnectionState, Timing
from wasmcloud_operator.lattice.control import ControlClient
from wasmcloud_operator.lattice.host_types import Change
from wasmcloud_operator.lattice.hosts import LiveHosts
from wasmcloud_operator.lattice.registry import RegistryCredential
from wasmcloud_operator.lattice.spec import ConnectionSpec
from wasmcloud_operator.lattice.subjects import (
    DEFAULT_CONTROL_PREFIX,
    DEFAULT_WADM_PREFIX,
    ControlSubjects,
    WadmSubjects,
)
from wasmcloud_operator.lattice.wadm import WadmClient
from wasmcloud_operator.lattice.wadm_events import (
    ManifestPublished,
    ManifestUnpublished,
    StatusPushed,
    WadmEvent,
    subscribe_wadm,
)

_log = structlog.get_logger(__name__)

_RESTART_AFTER = 5.0


@dataclass(frozen=True)
class LatticeKey:
    """What tells one lattice from another: the NATS system (as reached) and the name; and how its subjects begin.

    Raises `InvalidName` for a name or prefix that cannot be part of a NATS subject.
    """

    spec: ConnectionSpec
    name: str
    control_prefix: str = DEFAULT_CONTROL_PREFIX
    wadm_prefix: str = DEFAULT_WADM_PREFIX

    def __post_init__(self) -> None:
        ControlSubjects(self.name, self.control_prefix)
        WadmSubjects(self.name, self.wadm_prefix)

    def same_lattice(self, other: LatticeKey) -> bool:
        """Whether two lead to one lattice, by other credentials of its account or more addresses perhaps."""
        accounts = {self.spec.account, other.spec.account} - {""}
        shared = set(self.spec.addresses) & set(other.spec.addresses)
        return self.name == other.name and bool(shared) and len(accounts) < 2


LatticeEvent = ConnectionState | WadmEvent | Change | AppsListed | AppsNotListed
CredentialsFor = Callable[["Lattice", Labels], Awaitable[Mapping[str, RegistryCredential] | None]]
NewsListener = Callable[["Lattice", LatticeEvent], None]


class Lattice:
    """One lattice in use: `wadm`, `control`, `hosts`, `apps` to work with, `connection.state` to tell how it does."""

    def __init__(self, key: LatticeKey, connections: ConnectionPool, clock: Clock, tell: NewsListener) -> None:
        self.key = key
        self._lease = connections.acquire(key.spec)
        self.connection = self._lease.connection
        self.wadm = WadmClient(self.connection, key.name, prefix=key.wadm_prefix)
        self.control = ControlClient(self.connection, key.name, prefix=key.control_prefix)
        self.hosts = LiveHosts(self.connection, self.control, clock=clock)
        self.apps = LiveApps(self.connection, self.wadm, clock=clock, tell=self._news)
        self._clock = clock
        self._tell = tell

    def __repr__(self) -> str:
        return f"<Lattice {self.key.name} on {self.connection!r}>"

    @property
    def name(self) -> str:
        """The lattice's name; on another NATS system there may be another lattice of that name."""
        return self.key.name

    async def run(self, credentials_for: CredentialsFor | None) -> None:
        """Listen and keep the hosts until cancelled; what fails unexpectedly is started anew."""
        unlisten = [self.connection.listen(self._news), self.hosts.listen(self._news)]
        try:
            while True:
                try:
                    await self._run(credentials_for)
                except Exception:  # noqa: BLE001 - logged with its trace
                    _log.exception("lattice.restarted", lattice=self.name, nats=self.key.spec.addresses)
                await self._clock.sleep(_RESTART_AFTER)
        finally:
            for end in unlisten:
                end()

    def close(self) -> None:
        """Give the connection back; `run` has ended or never began."""
        self._lease.release()

    async def _run(self, credentials_for: CredentialsFor | None) -> None:
        subscriptions = await subscribe_wadm(self.connection, self.wadm.subjects, self._news)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.hosts.run())
                tasks.create_task(self.apps.run())
                if credentials_for is not None:
                    tasks.create_task(self._serve_config(credentials_for))
        finally:
            for subscription in subscriptions:
                await subscription.unsubscribe()

    async def _serve_config(self, credentials_for: CredentialsFor) -> None:
        async def for_host(labels: Labels) -> Mapping[str, RegistryCredential] | None:
            return await credentials_for(self, labels)

        await ConfigService(self.connection, self.name, for_host, clock=self._clock).run()

    def _news(self, news: LatticeEvent) -> None:
        if isinstance(news, ConnectionState):
            self.apps.connection_changed()
        elif isinstance(news, StatusPushed | ManifestPublished | ManifestUnpublished):
            self.apps.request_refresh()
        self._tell(self, news)


class Lattices:
    """The lattices in use, by who uses them. A lattice lives while it has a holder.

    Use it as `async with Lattices() as lattices:`; leaving ends all of them. With `credentials_for` (or after
    `answer_hosts`) the hosts' config service requests are answered.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        timing: Timing | None = None,
        credentials_for: CredentialsFor | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._connections = ConnectionPool(clock=self._clock, timing=timing)
        self._tasks = asyncio.TaskGroup()
        self._credentials_for = credentials_for
        self._held: dict[str, LatticeKey] = {}
        self._running: dict[LatticeKey, tuple[Lattice, asyncio.Task[None]]] = {}  # invariant: its keys are held
        self._listeners: list[NewsListener] = []

    def __repr__(self) -> str:
        return f"<Lattices {list(self.all)}>"

    def answer_hosts(self, credentials_for: CredentialsFor) -> None:
        """Answer the hosts' config service requests from now on, in lattices that are not held yet."""
        self._credentials_for = credentials_for

    @property
    def all(self) -> tuple[Lattice, ...]:
        """Every lattice in use."""
        return tuple(lattice for lattice, _ in self._running.values())

    def hold(self, holder: str, key: LatticeKey) -> Lattice:
        """The lattice for `key`, kept for `holder` (say `WasmCloudHostConfig a/b`) instead of what it held before."""
        if key not in self._running:
            lattice = Lattice(key, self._connections, self._clock, self._tell)
            task = self._tasks.create_task(
                lattice.run(self._credentials_for), name=f"lattice {key.name}", context=Context()
            )
            # Not in the task's own `finally`: a task that is cancelled before its first step runs none of it.
            task.add_done_callback(lambda _: lattice.close())
            self._running[key] = (lattice, task)
        before = self._held.get(holder)
        self._held[holder] = key
        self._end_unheld(before)
        return self._running[key][0]

    def release(self, holder: str) -> None:
        """`holder` uses no lattice any more; harmless when it used none."""
        self._end_unheld(self._held.pop(holder, None))

    def held_by(self, holder: str) -> Lattice | None:
        """The lattice that `holder` uses."""
        key = self._held.get(holder)
        return self._running[key][0] if key else None

    def holders(self, lattice: Lattice) -> tuple[str, ...]:
        """Who uses the lattice."""
        return tuple(holder for holder, key in self._held.items() if key == lattice.key)

    def listen(self, listener: NewsListener) -> Callable[[], None]:
        """Call `listener` with each lattice's news: its connection's state, wadm's pushes, changes of its hosts.

        Gives the function that ends it. The listener must not block; it should do no more than enqueue keys. After a
        connected state everything has to be looked at again: what happened before is not told.
        """
        self._listeners.append(listener)

        def end() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return end

    def _tell(self, lattice: Lattice, news: LatticeEvent) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(lattice, news)
            except Exception:  # noqa: BLE001 - logged with its trace
                _log.exception("lattice.listener_failed", lattice=lattice.name)

    def _end_unheld(self, key: LatticeKey | None) -> None:
        if key is not None and key in self._running and key not in self._held.values():
            _, task = self._running.pop(key)
            task.cancel()

    async def __aenter__(self) -> Self:
        await self._connections.__aenter__()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, task in self._running.values():
            task.cancel()
        # A task group would wrap the body's own error into an ExceptionGroup; only a cancellation is its business.
        cancelled = kind is not None and issubclass(kind, asyncio.CancelledError)
        try:
            await self._tasks.__aexit__(*((kind, error, trace) if cancelled else (None, None, None)))
        finally:
            await self._connections.__aexit__(None, None, None)
