"""What a connection is told and what it tells: timing, state, messages, counters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Timing:
    """Durations in seconds. A dead peer is noticed after `ping_interval + ping_timeout` at the latest."""

    connect_timeout: float = 5.0
    ping_interval: float = 20.0
    ping_timeout: float = 5.0
    backoff_first: float = 0.25
    backoff_limit: float = 15.0


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """Whether NATS is connected; else a CamelCase `reason` and a `message` fit for a condition. `since` is UTC."""

    connected: bool
    reason: str
    message: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Message:
    """What arrived on a subscription."""

    subject: str
    data: bytes
    reply: str = ""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counters since the connection object was made."""

    clients: int
    requests: int
    in_flight: int
    subscriptions: int
    lost_messages: int
    last_error: str
