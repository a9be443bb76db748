"""Connections to a NATS server of the test's own: how fast they notice and retry, and the wait until one stands."""

from __future__ import annotations

from testbed import eventually
from wasmcloud_operator.lattice.connection import Connection
from wasmcloud_operator.lattice.connection_types import Timing

QUICK = Timing(connect_timeout=60.0, ping_interval=0.3, ping_timeout=60.0, backoff_first=0.05, backoff_limit=0.2)


async def connected(connection: Connection) -> bool:
    await eventually(lambda: connection.state.connected, message=f"{connection!r} connected")
    return True
