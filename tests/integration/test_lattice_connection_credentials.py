"""Credentials of a connection that are rotated, expire, or do not permit, against a real NATS server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.lattice.connections import QUICK, connected
from support.lattice.jwt import Account, Operator
from testbed import NatsServer, eventually
from testbed.waiting import in_one_task
from wasmcloud_operator.lattice.connection import Connection
from wasmcloud_operator.lattice.connection_pool import ConnectionPool
from wasmcloud_operator.lattice.connection_types import Timing
from wasmcloud_operator.lattice.errors import NotPermitted
from wasmcloud_operator.lattice.spec import ConnectionSpec


@pytest.fixture
async def pool() -> AsyncIterator[ConnectionPool]:
    async with in_one_task(ConnectionPool(timing=QUICK)) as connections:
        yield connections


async def test_credentials_rotation_is_a_new_client_without_restart(pool: ConnectionPool, tmp_path: Path) -> None:
    account = Account("APP")
    async with NatsServer.start(tmp_path, jetstream=False, config_extra=Operator(account).server_config()) as server:
        old = pool.acquire(ConnectionSpec((server.url,), credentials=account.credentials("old")))
        await connected(old.connection)
        crlf = account.credentials("new").replace("\n", "\r\n")
        new = pool.acquire(ConnectionSpec((server.url,), credentials=crlf))
        await connected(new.connection)
        old.release()
        await eventually(lambda: pool.open == (new.connection,))
        assert new.connection.state.connected


async def test_expired_user_is_named_and_the_next_client_works(pool: ConnectionPool, tmp_path: Path) -> None:
    account = Account("APP")
    async with NatsServer.start(tmp_path, jetstream=False, config_extra=Operator(account).server_config()) as server:
        short = ConnectionSpec((server.url,), credentials=account.credentials("short", lifetime=5))
        connection = pool.acquire(short).connection
        reasons: list[str] = []
        connection.listen(lambda state: reasons.append(state.reason))
        await connected(connection)
        await eventually(lambda: not connection.state.connected)
        assert reasons[:2] == ["Connected", "CredentialsExpired"], reasons
        await eventually(lambda: connection.state.reason == "CredentialsRejected", message=repr(reasons))
        fresh = pool.acquire(ConnectionSpec((server.url,), credentials=account.credentials("fresh")))
        await connected(fresh.connection)


async def test_an_end_while_a_ping_is_under_way_is_announced_at_once_with_its_cause() -> None:
    """Only a scripted server can end a client between a ping and its answer each time."""
    connection: Connection

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"S","version":"2.11.0","proto":1,"headers":true,"max_payload":1048576}\r\n')
        while line := await reader.readline():
            if line == b"PING\r\n":
                if connection.state.connected:
                    writer.write(b"-ERR 'User Authentication Expired'\r\n")
                    break
                writer.write(b"PONG\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        patient = Timing(ping_interval=0.05, ping_timeout=3600.0, backoff_first=3600.0, backoff_limit=3600.0)
        async with ConnectionPool(timing=patient) as pool:
            connection = pool.acquire(ConnectionSpec((f"nats://127.0.0.1:{port}",))).connection
            reasons: list[str] = []
            connection.listen(lambda state: reasons.append(state.reason))
            await eventually(lambda: len(reasons) == 2)
            assert reasons == ["Connected", "CredentialsExpired"]


async def test_server_side_expiry_of_a_live_client_gets_a_new_one(pool: ConnectionPool, tmp_path: Path) -> None:
    """The server drops a client for a reason of its own (here: other accounts); later the credentials hold again."""
    account = Account("APP")
    operator = Operator(account)
    async with NatsServer.start(tmp_path, jetstream=False, config_extra=operator.server_config()) as server:
        connection = pool.acquire(ConnectionSpec((server.url,), credentials=account.credentials("u"))).connection
        await connected(connection)
        await server.restart(Operator(Account("OTHER")).server_config())
        await eventually(lambda: connection.state.reason == "CredentialsRejected", message=repr(connection))
        await server.restart(operator.server_config())
        await connected(connection)


async def test_no_secret_is_shown(pool: ConnectionPool, tmp_path: Path) -> None:
    account = Account("APP")
    credentials = account.credentials("u")
    async with NatsServer.start(tmp_path, jetstream=False, config_extra=Operator(account).server_config()) as server:
        spec = ConnectionSpec((f"nats://user:hunter2@127.0.0.1:{server.port}",), credentials=credentials)
        connection = pool.acquire(spec).connection
        await connected(connection)
        shown = f"{spec!r} {connection!r} {pool!r} {connection.state!r} {connection.statistics()!r}"
        assert "hunter2" not in shown
        assert all(line not in shown for line in credentials.splitlines() if len(line) > 40 and "-" not in line)


async def test_permission_error_is_seen_and_the_connection_stays(pool: ConnectionPool, tmp_path: Path) -> None:
    account = Account("APP")
    async with NatsServer.start(tmp_path, jetstream=False, config_extra=Operator(account).server_config()) as server:
        credentials = account.credentials("u", permissions={"pub": {"deny": ["wadm.>"]}})
        connection = pool.acquire(ConnectionSpec((server.url,), credentials=credentials)).connection
        await connected(connection)

        async def refused() -> bool:
            with pytest.raises(NotPermitted, match="not permitted to publish on wadm"):
                await connection.request("wadm.api", timeout=0.5)
            return True

        await eventually(refused)  # the server's word may come after the deadline; then the next request knows it
        assert "permissions violation" in connection.statistics().last_error
        assert connection.state.connected
