"""NATS in memory: servers by address, and clients for them in place of nats-py's.

Connections, their supervision and their routes run as they are.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from nats import errors as nats_errors

from wasmcloud_operator.lattice.connection_types import ServerInfo
from wasmcloud_operator.lattice.pace import Pace
from wasmcloud_operator.lattice.spec import ConnectionSpec, without_userinfo

_HOP_SECONDS = 0.001
_USER_INFO = "$SYS.REQ.USER.INFO"


@dataclass
class ScriptedMessage:
    """What a subscriber gets."""

    subject: str
    data: bytes
    reply: str = ""
    headers: dict[str, str] | None = None


MessageHandler = Callable[[ScriptedMessage], Awaitable[None]]


@dataclass(eq=False)
class ScriptedSubscription:
    """A subscription on a server; one without a client is of somebody inside, who comes back with the server."""

    server: ScriptedNats
    subject: str
    handler: MessageHandler
    client: ScriptedClient | None = None

    async def unsubscribe(self) -> None:
        """End it; harmless when it has ended."""
        self.end()

    def end(self) -> None:
        """End it; harmless when it has ended."""
        self.server.subscriptions.pop(self, None)


class ScriptedNats:
    """A NATS server with one account: `up`, down, or `silent` (it takes everything and passes on nothing)."""

    def __init__(self, name: str) -> None:
        self.name = name
        # In order: sets of objects have another one each time.
        self.subscriptions: dict[ScriptedSubscription, None] = {}
        self.clients: dict[ScriptedClient, None] = {}
        self.up = True
        self.silent = False
        self._starts = itertools.count()
        self._start = next(self._starts)
        self._delivering: set[asyncio.Future[None]] = set()

    def __repr__(self) -> str:
        state = "silent" if self.silent else "up" if self.up else "down"
        return f"<ScriptedNats {self.name} {state} clients={len(self.clients)}>"

    @property
    def info(self) -> ServerInfo:
        """What the server announces of itself; another id after each start."""
        return ServerInfo(f"{self.name}-{self._start}")

    def stop(self) -> None:
        """Die: every client's connection ends."""
        self.up = False
        for client in tuple(self.clients):
            client.end(nats_errors.UnexpectedEOF())

    def start(self) -> None:
        """Come back, as another server of the same name."""
        self.up, self.silent = True, False
        self._start = next(self._starts)

    def subscribe(
        self, subject: str, handler: MessageHandler, client: ScriptedClient | None = None
    ) -> ScriptedSubscription:
        """Have `handler` called for each message on a subject, which may have the wildcards `*` and `>`."""
        subscription = ScriptedSubscription(self, subject, handler, client)
        self.subscriptions[subscription] = None
        return subscription

    def publish(self, subject: str, data: bytes, reply: str = "", headers: dict[str, str] | None = None) -> int:
        """Deliver to all subscribers, a moment later, in order. Returns how many they are."""
        if not self.up or self.silent:
            return 0
        message = ScriptedMessage(subject, data, reply, headers)
        found = [each for each in self.subscriptions if _matches(each.subject, subject)]
        for each in found:
            asyncio.get_running_loop().call_later(_HOP_SECONDS, self._deliver, each, message)
        return len(found)

    def _deliver(self, subscription: ScriptedSubscription, message: ScriptedMessage) -> None:
        if self.up and not self.silent and subscription in self.subscriptions:
            task = asyncio.ensure_future(subscription.handler(message))
            self._delivering.add(task)
            task.add_done_callback(self._delivering.discard)


class ScriptedClient:
    """A client of one server of a network, in place of `natsclient.NatsClient`."""

    max_payload = 1024 * 1024
    skipped = 0

    def __init__(self, network: ScriptedNetwork, address: str) -> None:
        self._network = network
        self._address = without_userinfo(address)
        self._nats: ScriptedNats | None = None
        self._on_closed: Callable[[], None] = lambda: None
        self._inboxes = itertools.count()
        self._last_error: Exception | None = None

    @property
    def server(self) -> ServerInfo | None:
        """What the server announces of itself; None while not connected."""
        return self._nats.info if self._nats is not None else None

    @property
    def last_error(self) -> Exception | None:
        """What the connection ended of."""
        return self._last_error

    def new_inbox(self) -> str:
        """Returns a subject for answers that nobody else has."""
        return f"_INBOX.{id(self):x}.{next(self._inboxes)}"

    async def publish(
        self, subject: str, payload: bytes, *, reply: str = "", headers: dict[str, Any] | None = None
    ) -> None:
        """Send; who wants a reply hears of it where nobody listens."""
        server = self._connected()
        if not server.publish(subject, payload, reply, headers) and reply and not server.silent:
            server.publish(reply, b"", headers={"Status": "503"})

    async def request(
        self, subject: str, payload: bytes, *, timeout: float, headers: dict[str, Any] | None = None
    ) -> ScriptedMessage:
        """Returns the first answer."""
        server = self._connected()
        answered: asyncio.Future[ScriptedMessage] = asyncio.get_running_loop().create_future()
        if subject == _USER_INFO and not server.silent:
            return ScriptedMessage(subject, b'{"data": {"account": "$G"}}')

        async def take(message: ScriptedMessage) -> None:
            if not answered.done():
                answered.set_result(message)

        subscription = server.subscribe(self.new_inbox(), take, self)
        try:
            if not server.publish(subject, payload, subscription.subject, headers) and not server.silent:
                raise nats_errors.NoRespondersError
            async with asyncio.timeout(timeout):
                return await answered
        finally:
            subscription.end()

    async def dial(self, timeout: float, on_error: Callable[[Exception], None], on_closed: Callable[[], None]) -> None:
        """Connect to the server that the network has at the address."""
        server = self._network.servers.get(self._address)
        await asyncio.sleep(self._network.connect_seconds)
        if server is None or not server.up:
            raise ConnectionRefusedError(111, "Connection refused")
        if server.silent:
            await asyncio.sleep(timeout)
            raise TimeoutError("no NATS server answers there")
        self._nats, self._on_closed = server, on_closed
        server.clients[self] = None

    async def check(self, ended: asyncio.Future[Exception], timeout: float) -> None:
        """Have the server answer."""
        if ended.done():
            raise ended.result()
        if self._nats is None or self._nats.silent:
            await asyncio.wait({ended}, timeout=timeout)
            raise ended.result() if ended.done() else TimeoutError()
        await asyncio.sleep(0)

    async def hear(self, subject: str, handler: Callable[[Any], Awaitable[None]]) -> ScriptedSubscription:
        """Subscribe until the connection ends."""
        return self._connected().subscribe(subject, handler, self)

    async def hang_up(self) -> None:
        """Close the connection."""
        self.end(None)

    def end(self, error: Exception | None) -> None:
        """The connection is over."""
        if self._nats is not None:
            server, self._nats = self._nats, None
            server.clients.pop(self, None)
            server.subscriptions = {each: None for each in server.subscriptions if each.client is not self}
            self._last_error = error
            self._on_closed()

    def _connected(self) -> ScriptedNats:
        if self._nats is None:
            raise nats_errors.ConnectionClosedError
        return self._nats


@dataclass
class ScriptedNetwork:
    """Every NATS server, by address without credentials; one server may have several."""

    servers: dict[str, ScriptedNats] = field(default_factory=dict)
    connect_seconds: float = _HOP_SECONDS
    """How long it takes to connect."""

    def new_client(self, _spec: ConnectionSpec, server: str, _pace: Pace) -> ScriptedClient:
        """Returns a client for a server of this network: `Lattices(new_client=network.new_client, …)`."""
        return ScriptedClient(self, server)


def _matches(pattern: str, subject: str) -> bool:
    wanted, tokens = pattern.split("."), subject.split(".")
    for number, part in enumerate(wanted):
        if part == ">":
            return len(tokens) > number
        if number >= len(tokens) or part not in ("*", tokens[number]):
            return False
    return len(wanted) == len(tokens)
