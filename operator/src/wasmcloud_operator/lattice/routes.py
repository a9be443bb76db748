"""The routes to one lattice as one channel: the first that is up is used until it ends, then the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.lattice.connection import Connection
from wasmcloud_operator.lattice.connection_pool import PooledConnection
from wasmcloud_operator.lattice.connection_types import (
    Channel,
    ChannelSubscription,
    ConnectionPhase,
    ConnectionState,
    Handler,
    StateListener,
)
from wasmcloud_operator.lattice.errors import LatticeUnavailable
from wasmcloud_operator.lattice.identity import LatticeRoute
from wasmcloud_operator.lattice.listeners import Listeners

_log = structlog.get_logger(__name__)

_DEFAULT_MAX_PAYLOAD = 1024 * 1024


@dataclass(slots=True)
class _Way:
    """One route with its claim on a connection."""

    pooled: PooledConnection
    unlisten: Callable[[], None]

    @property
    def connection(self) -> Connection:
        return self.pooled.connection


class RoutedSubscription:
    """Interest in a subject that outlives every route."""

    def __init__(self, channel: RoutedChannel, subject: str, handler: Handler) -> None:
        self.subject = subject
        self.handler = handler
        self._channel = channel

    def __repr__(self) -> str:
        return f"<RoutedSubscription {self.subject}>"

    async def unsubscribe(self) -> None:
        """End it; harmless when it has ended."""
        await self._channel.forget(self)


class RoutedChannel(Channel):
    """Talks over one of a lattice's routes.

    Invariant: while `state` is connected, every subscription stands on `_active`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ways: dict[LatticeRoute, _Way] = {}
        self._leaving: list[PooledConnection] = []  # given back once nothing is subscribed there any more
        self._active: Connection | None = None
        self._switching = False
        self._subscriptions: dict[RoutedSubscription, ChannelSubscription | None] = {}
        self._listeners = Listeners[ConnectionState](
            lambda state: _log.exception("listener failed", state=state.reason)
        )
        self._reconsider = asyncio.Event()

    def __repr__(self) -> str:
        return f"<RoutedChannel {len(self._ways)} routes, {self._active!r}>"

    @property
    def routes(self) -> Mapping[LatticeRoute, Connection]:
        """Every route with its connection."""
        return {route: way.connection for route, way in self._ways.items()}

    @property
    def state(self) -> ConnectionState:
        """Connected by one of the routes, or why by none of them."""
        if self._active is not None and self._active.state.connected and not self._switching:
            return self._active.state
        states = [way.connection.state for way in self._ways.values()]
        lost = [state for state in states if not state.connected]
        if not states:
            return ConnectionState(ConnectionPhase.CLOSED, "Closed", "no route leads there any more", self._clock.now())
        if len(lost) < len(states):
            return ConnectionState(
                ConnectionPhase.CONNECTING, "Connecting", "another route is taken", self._clock.now()
            )
        trying = next((state for state in lost if state.connecting), None)
        if trying is not None or len(lost) == 1:
            return trying or lost[0]
        message = "; ".join(dict.fromkeys(state.message for state in lost))
        return ConnectionState(lost[0].phase, lost[0].reason, message, max(state.since for state in lost))

    @property
    def max_payload(self) -> int:
        """The largest message in bytes that the server takes."""
        return self._active.max_payload if self._active is not None else _DEFAULT_MAX_PAYLOAD

    def add(self, route: LatticeRoute, pooled: PooledConnection) -> None:
        """Take one more route into account."""
        connection = pooled.connection
        unlisten = connection.listen(lambda state: self._on_state(connection, state))
        self._ways[route] = _Way(pooled, unlisten)
        if self._active is None:
            self._active = connection
        self._reconsider.set()

    def drop(self, route: LatticeRoute) -> None:
        """Use a route no more; it is left once another one is taken."""
        way = self._ways.pop(route)
        way.unlisten()
        self._leaving.append(way.pooled)
        self._reconsider.set()

    def take_over(self, other: RoutedChannel) -> None:
        """Have all routes of another channel, which is left with none."""
        for route, way in tuple(other._ways.items()):
            way.unlisten()
            self.add(route, way.pooled)
        other._ways.clear()
        other._reconsider.set()

    def close(self) -> None:
        """Give all connections back."""
        for route in tuple(self._ways):
            self.drop(route)
        self._release_left()

    def listen(self, listener: StateListener) -> Callable[[], None]:
        """Call `listener` at each change of the state, as `Connection.listen`. Returns the function that ends it."""
        return self._listeners.add(listener)

    async def subscribe(self, subject: str, handler: Handler) -> RoutedSubscription:
        """Call `handler` for each message, now and on every later route. It must not block."""
        subscription = RoutedSubscription(self, subject, handler)
        self._subscriptions[subscription] = None
        if self._active is not None:
            await self._attach(subscription, self._active)
        return subscription

    async def forget(self, subscription: RoutedSubscription) -> None:
        """Drop a subscription; `RoutedSubscription.unsubscribe` calls this."""
        attached = self._subscriptions.pop(subscription, None)
        if attached is not None:
            await attached.unsubscribe()

    async def publish(self, subject: str, payload: bytes, *, headers: Mapping[str, str] | None = None) -> None:
        """Send without an answer, as `Connection.publish` does."""
        await self._connection().publish(subject, payload, headers=headers)

    async def request(
        self, subject: str, payload: bytes = b"", *, timeout: float, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """The answer's bytes, as of `Connection.request`."""
        return await self._connection().request(subject, payload, timeout=timeout, headers=headers)

    async def request_many(
        self, subject: str, payload: bytes = b"", *, timeout: float, quiet_for: float = 0.5, limit: int = 10_000
    ) -> tuple[bytes, ...]:
        """The answers of everyone who listens, as of `Connection.request_many`."""
        return await self._connection().request_many(
            subject, payload, timeout=timeout, quiet_for=quiet_for, limit=limit
        )

    async def run(self) -> None:
        """Take another route whenever the route in use ends and another is up, until cancelled."""
        while True:
            self._reconsider.clear()
            best = self._best()
            if best is not self._active:
                await self._switch(best)
            self._release_left()
            await self._reconsider.wait()

    def _best(self) -> Connection | None:
        there = [way.connection for way in self._ways.values()]
        if self._active is not None and self._active in there and self._active.state.connected:
            return self._active
        up = next((connection for connection in there if connection.state.connected), None)
        if up is not None:
            return up
        return self._active if self._active in there else next(iter(there), None)

    async def _switch(self, connection: Connection | None) -> None:
        """Move every subscription to a connection. Listeners hear of the state only then, so that they may list."""
        self._switching, self._active = True, connection
        try:
            for subscription in tuple(self._subscriptions):
                before = self._subscriptions.get(subscription)
                if connection is not None and subscription in self._subscriptions:
                    await self._attach(subscription, connection)
                if before is not None:
                    await before.unsubscribe()
        finally:
            self._switching = False
        self._listeners.notify(self.state)

    async def _attach(self, subscription: RoutedSubscription, connection: Connection) -> None:
        attached = await connection.subscribe(subscription.subject, subscription.handler)
        if subscription in self._subscriptions and connection is self._active:
            self._subscriptions[subscription] = attached
        else:  # ended, or moved to another route meanwhile
            await attached.unsubscribe()

    def _on_state(self, connection: Connection, state: ConnectionState) -> None:
        if connection is self._active or not (state.connected or self.state.connected):
            self._listeners.notify(self.state)
        self._reconsider.set()

    def _release_left(self) -> None:
        while self._leaving:
            self._leaving.pop().release()

    def _connection(self) -> Connection:
        if self._active is None:
            raise LatticeUnavailable("no route leads there any more")
        return self._active
