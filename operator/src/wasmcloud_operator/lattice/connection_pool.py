"""The pool: one connection per spec, shared by all who hold it."""

from __future__ import annotations

import asyncio
from contextvars import Context
from types import TracebackType
from typing import Self

import structlog

from wasmcloud_operator.base.clock import SYSTEM_CLOCK, Clock
from wasmcloud_operator.lattice.connection import Connection
from wasmcloud_operator.lattice.connection_types import Span, Timing, no_span
from wasmcloud_operator.lattice.natsclient import NatsClient, NewClient
from wasmcloud_operator.lattice.pace import LoopShare
from wasmcloud_operator.lattice.spec import ConnectionSpec

_log = structlog.get_logger(__name__)

_RESTART_AFTER = 5.0


class PooledConnection:
    """A claim on a pooled connection; it stays up until the last claim on it is released."""

    def __init__(self, pool: ConnectionPool, connection: Connection) -> None:
        self.connection = connection
        self._pool = pool
        self._released = False

    def __repr__(self) -> str:
        return f"<PooledConnection on {self.connection!r}{' released' if self._released else ''}>"

    def release(self) -> None:
        """Give it back; harmless the second time."""
        if not self._released:
            self._released = True
            self._pool.give_back(self.connection)

    def __enter__(self) -> Connection:
        return self.connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class ConnectionPool:
    """Connections by spec, counted by holder, each kept up by a task of its own.

    Use it as `async with ConnectionPool() as connections:`; leaving closes all of them. Rotated credentials are another
    spec: acquire the new one, release the old one.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        timing: Timing | None = None,
        span: Span = no_span,
        new_client: NewClient = NatsClient,
    ) -> None:
        self._clock = clock or SYSTEM_CLOCK
        self._share_of_all = LoopShare.of_all(self._clock)
        self._timing = timing
        self._span = span
        self._new_client = new_client
        self._tasks = asyncio.TaskGroup()
        self._open: dict[ConnectionSpec, tuple[Connection, asyncio.Task[None]]] = {}
        self._holders: dict[ConnectionSpec, int] = {}  # invariant: the same keys as _open, each value > 0

    def __repr__(self) -> str:
        return f"<ConnectionPool {[connection for connection, _ in self._open.values()]}>"

    @property
    def open(self) -> tuple[Connection, ...]:
        """The connections that somebody holds."""
        return tuple(connection for connection, _ in self._open.values())

    def acquire(self, spec: ConnectionSpec) -> PooledConnection:
        """A claim on the connection for `spec`; connecting goes on in the background and never fails here."""
        if spec not in self._open:
            connection = Connection(
                spec,
                clock=self._clock,
                share_of_all=self._share_of_all,
                timing=self._timing,
                span=self._span,
                new_client=self._new_client,
            )
            task = self._tasks.create_task(self._keep(connection), name=f"nats {spec.digest}", context=Context())
            self._open[spec] = (connection, task)
        self._holders[spec] = self._holders.get(spec, 0) + 1
        return PooledConnection(self, self._open[spec][0])

    async def _keep(self, connection: Connection) -> None:
        """Run a connection until it is given back.

        Nothing it raises may reach the task group, which would end all others; nor may it end in silence when a
        library's own cancelled task raises CancelledError in it.
        """
        task = asyncio.current_task()
        while True:
            try:
                await connection.run()
            except asyncio.CancelledError:
                if task is None or task.cancelling():
                    raise
                _log.error(
                    "connection task died; starting it again", nats=connection.spec.addresses, error="CancelledError"
                )
            except Exception as error:  # noqa: BLE001 - logged with its trace
                _log.error("connection task died; starting it again", nats=connection.spec.addresses, exc_info=error)
            await self._clock.sleep(_RESTART_AFTER)

    def give_back(self, connection: Connection) -> None:
        """Count one holder less, close at the last one; `PooledConnection.release` calls this."""
        self._holders[connection.spec] -= 1
        if self._holders[connection.spec] == 0:
            del self._holders[connection.spec]
            _, task = self._open.pop(connection.spec)
            task.cancel()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, task in self._open.values():
            task.cancel()
        await self._tasks.__aexit__(kind, error, trace)
