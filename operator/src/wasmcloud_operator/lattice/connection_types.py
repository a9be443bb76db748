"""What goes into and comes out of a connection: timing, state, messages, counters, and the interface of a channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Protocol

# Opens a span of this name with these attributes, to be traced.
Span = Callable[[str, dict[str, str]], AbstractContextManager[object]]


def no_span(_name: str, _attributes: dict[str, str]) -> AbstractContextManager[object]:
    """Traces nothing."""
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Timing:
    """Durations in seconds. A dead peer is noticed after `ping_interval + ping_timeout` at the latest."""

    connect_timeout: float = 5.0
    ping_interval: float = 20.0
    ping_timeout: float = 5.0
    backoff_first: float = 0.25
    backoff_limit: float = 15.0


class ConnectionPhase(Enum):
    """How it stands between us and NATS."""

    CONNECTED = auto()
    CONNECTING = auto()
    """The first attempt is under way, or another route is being taken: that nobody is reached is not known."""

    LOST = auto()
    CLOSED = auto()


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """How it stands, with a CamelCase `reason` and a `message` fit for a condition. `since` is UTC."""

    phase: ConnectionPhase
    reason: str
    message: str
    since: datetime

    @property
    def connected(self) -> bool:
        """Whether NATS is connected."""
        return self.phase is ConnectionPhase.CONNECTED

    @property
    def connecting(self) -> bool:
        """Whether it soon may be: nothing is wrong yet."""
        return self.phase is ConnectionPhase.CONNECTING


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What a NATS server announces of itself to each client: its id, and its cluster's name and client addresses."""

    id: str
    cluster: str = ""
    urls: tuple[str, ...] = ()
    auth_required: bool = False
    """Whether nobody gets in without credentials; where it is not so, credentials may not be looked at."""


@dataclass(frozen=True, slots=True)
class Message:
    """What arrived on a subscription."""

    subject: str
    data: bytes
    reply: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Counters since the connection object was made."""

    clients: int
    requests: int
    in_flight: int
    subscriptions: int
    lost_messages: int
    last_error: str


Handler = Callable[[Message], None]
StateListener = Callable[[ConnectionState], None]


class ChannelSubscription(Protocol):
    """Interest in a subject."""

    async def unsubscribe(self) -> None:
        """End it; harmless when it has ended."""


class Channel(Protocol):
    """A way to talk with one NATS account: a connection, or whichever of several is up. See `Connection`."""

    @property
    def state(self) -> ConnectionState:
        """Connected or why not, and since when."""
        ...

    @property
    def max_payload(self) -> int:
        """The largest message in bytes that the server takes."""
        ...

    def listen(self, listener: StateListener) -> Callable[[], None]:
        """Call `listener` at each change of the state. Returns the function that ends it."""
        ...

    async def subscribe(self, subject: str, handler: Handler) -> ChannelSubscription:
        """Call `handler` for each message, also after the connection was lost and is back."""
        ...

    async def publish(self, subject: str, payload: bytes, *, headers: Mapping[str, str] | None = None) -> None:
        """Send without an answer."""

    async def request(
        self, subject: str, payload: bytes = b"", *, timeout: float, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """The answer's bytes, within `timeout` seconds."""
        ...

    async def request_many(
        self, subject: str, payload: bytes = b"", *, timeout: float, quiet_for: float = 0.5, limit: int = 10_000
    ) -> tuple[bytes, ...]:
        """The answers of everyone who listens."""
        ...
