"""NATS in memory: servers by address, and what nats-py's client is asked for, in place of `lattice.natsclient`'s parts.

The operator's own connections, their supervision and their routes run as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from nats import errors as nats_errors

from wasmcloud_operator.lattice import natsclient
from wasmcloud_operator.lattice.connection_types import ServerInfo
from wasmcloud_operator.lattice.spec import without_userinfo

_HOP_SECONDS = 0.001
_USER_INFO = "$SYS.REQ.USER.INFO"


@dataclass(frozen=True)
class Message:
    """What a subscriber gets."""

    subject: str
    data: bytes
    reply: str = ""
    headers: dict[str, str] | None = None


Handler = Callable[[Message], Awaitable[None]]


@dataclass(eq=False)
class Interest:
    """A subscription on a server."""

    server: NatsDouble
    subject: str
    handler: Handler
    client: ScriptedClient | None = None
    inbox: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)

    async def unsubscribe(self) -> None:
        self.server.interests.pop(self, None)


class NatsDouble:
    """A NATS server with one account: `up`, down, or `silent` (it takes everything and passes on nothing)."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.interests: dict[Interest, None] = {}  # in order: sets of objects have another one each time
        self.clients: dict[ScriptedClient, None] = {}
        self.up = True
        self.silent = False
        self._starts = itertools.count()
        self._start = next(self._starts)

    @property
    def info(self) -> ServerInfo:
        return ServerInfo(f"{self.name}-{self._start}")

    def stop(self) -> None:
        """Die: every client's connection ends. Subscriptions of those inside (wadm, hosts) come back with it."""
        self.up = False
        for client in tuple(self.clients):
            client.end(nats_errors.UnexpectedEOF())

    def start(self) -> None:
        self.up, self.silent = True, False
        self._start = next(self._starts)

    def subscribe(self, subject: str, handler: Handler, client: ScriptedClient | None = None) -> Interest:
        interest = Interest(self, subject, handler, client)
        self.interests[interest] = None
        return interest

    def publish(self, subject: str, data: bytes, reply: str = "", headers: dict[str, str] | None = None) -> int:
        """Delivers to all subscribers, a moment later, in order. Returns how many."""
        if not self.up or self.silent:
            return 0
        message = Message(subject, data, reply, headers)
        found = [interest for interest in self.interests if _matches(interest.subject, subject)]
        for interest in found:
            asyncio.get_running_loop().call_later(_HOP_SECONDS, self._deliver, interest, message)
        return len(found)

    def _deliver(self, interest: Interest, message: Message) -> None:
        if self.up and not self.silent and interest in self.interests:
            task = asyncio.ensure_future(interest.handler(message))
            _running.add(task)
            task.add_done_callback(_running.discard)


_running: set[asyncio.Future[None]] = set()


class ScriptedClient:
    """As much of nats-py's client as `Connection` uses."""

    max_payload = 1024 * 1024
    skipped = 0

    def __init__(self, network: Network) -> None:
        self._network = network
        self._nats: NatsDouble | None = None
        self._on_closed: Callable[[], None] = lambda: None
        self._inboxes = itertools.count()
        self.last_error: Exception | None = None

    @property
    def server(self) -> ServerInfo | None:
        return self._nats.info if self._nats is not None else None

    def new_inbox(self) -> str:
        return f"_INBOX.{id(self):x}.{next(self._inboxes)}"

    async def publish(self, subject: str, payload: bytes, *, reply: str = "", headers: Any = None) -> None:
        server = self._connected()
        if not server.publish(subject, payload, reply, headers) and reply and not server.silent:
            server.publish(reply, b"", headers={"Status": "503"})

    async def request(self, subject: str, payload: bytes, *, timeout: float, headers: Any = None) -> Message:
        server, answered = self._connected(), asyncio.get_running_loop().create_future()
        if subject == _USER_INFO and not server.silent:
            return Message(subject, b'{"data": {"account": "$G"}}')

        async def take(message: Message) -> None:
            if not answered.done():
                answered.set_result(message)

        interest = server.subscribe(self.new_inbox(), take, self)
        try:
            if not server.publish(subject, payload, interest.subject, headers) and not server.silent:
                raise nats_errors.NoRespondersError
            async with asyncio.timeout(timeout):
                answer: Message = await answered
                return answer
        finally:
            await interest.unsubscribe()

    async def connect(self, address: str, on_closed: Callable[[], None], timeout: float) -> None:
        server = self._network.servers.get(without_userinfo(address))
        await asyncio.sleep(_HOP_SECONDS)
        if server is None or not server.up:
            raise ConnectionRefusedError(111, "Connection refused")
        if server.silent:
            await asyncio.sleep(timeout)
            raise TimeoutError("no NATS server answers there")
        self._nats, self._on_closed = server, on_closed
        server.clients[self] = None

    async def ping(self, ended: asyncio.Future[Exception], timeout: float) -> None:
        if ended.done():
            raise ended.result()
        if self._nats is None or self._nats.silent:
            await asyncio.wait({ended}, timeout=timeout)
            raise ended.result() if ended.done() else TimeoutError()
        await asyncio.sleep(0)

    def subscribe(self, subject: str, handler: Handler) -> Interest:
        return self._connected().subscribe(subject, handler, self)

    def end(self, error: Exception | None) -> None:
        """The connection is over."""
        if self._nats is not None:
            server, self._nats = self._nats, None
            server.clients.pop(self, None)
            server.interests = {one: None for one in server.interests if one.client is not self}
            self.last_error = error
            self._on_closed()

    def _connected(self) -> NatsDouble:
        if self._nats is None:
            raise nats_errors.ConnectionClosedError
        return self._nats


@dataclass
class Network:
    """Every NATS server, by address; one server may have several."""

    servers: dict[str, NatsDouble] = field(default_factory=dict)

    @contextlib.contextmanager
    def reached(self) -> Iterator[None]:
        """While open, this is the network that the operator's connections find."""

        async def connect(client: Any, spec: Any, server: str, timeout: float, _: Any, on_closed: Any) -> None:
            await client.connect(server, on_closed, timeout)

        async def ping(client: Any, ended: Any, timeout: float) -> None:
            await client.ping(ended, timeout)

        async def subscribe(client: Any, subject: str, handler: Handler) -> Interest:
            return client.subscribe(subject, handler)

        async def close(client: Any) -> None:
            client.end(None)

        with mock.patch.multiple(
            natsclient,
            new_client=lambda *_: ScriptedClient(self),
            connect=connect,
            ping=ping,
            subscribe=subscribe,
            close=close,
        ):
            yield


def _matches(pattern: str, subject: str) -> bool:
    wanted, tokens = pattern.split("."), subject.split(".")
    for number, part in enumerate(wanted):
        if part == ">":
            return len(tokens) > number
        if number >= len(tokens) or part not in ("*", tokens[number]):
            return False
    return len(wanted) == len(tokens)
