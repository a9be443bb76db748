"""TLS, mutual TLS and websockets to a real NATS server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from testbed import NatsServer, eventually
from testbed.pki import Pki
from testbed.ports import free_ports
from testbed.waiting import in_one_task
from wasmcloud_operator.lattice.connection_pool import ConnectionPool
from wasmcloud_operator.lattice.connection_types import Timing
from wasmcloud_operator.lattice.errors import NoResponders
from wasmcloud_operator.lattice.spec import ConnectionSpec

QUICK = Timing(connect_timeout=60.0, backoff_first=0.05, backoff_limit=0.2)


@pytest.fixture
async def pool() -> AsyncIterator[ConnectionPool]:
    async with in_one_task(ConnectionPool(timing=QUICK)) as connections:
        yield connections


def tls_config(pki: Pki, *, verify: bool = False) -> str:
    lines = f'cert_file: "{pki.serving_cert}", key_file: "{pki.serving_key}", ca_file: "{pki.ca_cert}"'
    return f"tls {{ {lines}, verify: {str(verify).lower()} }}"


async def works(pool: ConnectionPool, spec: ConnectionSpec) -> None:
    connection = pool.acquire(spec).connection
    await eventually(lambda: connection.state.connected, message=f"{connection.state!r}")
    with pytest.raises(NoResponders):
        await connection.request("nobody", timeout=60)


async def refused(pool: ConnectionPool, spec: ConnectionSpec, reason: str, words: str) -> None:
    connection = pool.acquire(spec).connection
    await eventually(lambda: connection.state.reason == reason, message=reason)
    assert words in connection.state.message
    assert not connection.state.connected


async def test_tls_with_the_servers_ca_and_not_without(pool: ConnectionPool, tmp_path: Path) -> None:
    pki = Pki.create(tmp_path / "pki", ["127.0.0.1"])
    other = Pki.create(tmp_path / "other", ["127.0.0.1"])
    async with NatsServer.start(tmp_path / "nats", jetstream=False, config_extra=tls_config(pki)) as server:
        ca = pki.ca_cert.read_text()
        await works(pool, ConnectionSpec((server.url,), ca=ca))
        await works(pool, ConnectionSpec((server.url.replace("nats:", "tls:"),), ca=ca))
        await refused(pool, ConnectionSpec((server.url,)), "TLSFailed", "CERTIFICATE_VERIFY_FAILED")
        stranger = ConnectionSpec((server.url,), ca=other.ca_cert.read_text())
        await refused(pool, stranger, "TLSFailed", "check the CA")


async def test_mutual_tls_with_the_client_certificate_and_not_without(pool: ConnectionPool, tmp_path: Path) -> None:
    pki = Pki.create(tmp_path / "pki", ["127.0.0.1"])
    config = tls_config(pki, verify=True)
    async with NatsServer.start(tmp_path / "nats", jetstream=False, config_extra=config) as server:
        certificate, key = pki.client_certificate()
        anonymous = ConnectionSpec((server.url,), ca=pki.ca_cert.read_text())
        await works(pool, replace(anonymous, client_certificate=certificate, client_key=key))
        connection = pool.acquire(anonymous).connection
        await eventually(lambda: connection.state.reason not in ("Connecting", "Connected"))
        assert connection.statistics().clients == 0, connection.state


async def test_an_address_that_says_tls_is_never_used_without(pool: ConnectionPool, tmp_path: Path) -> None:
    async with NatsServer.start(tmp_path / "nats", jetstream=False) as server:
        spec = ConnectionSpec((server.url.replace("nats:", "tls:"),))
        await refused(pool, spec, "TLSFailed", "the server does not offer TLS")


async def test_websockets(pool: ConnectionPool, tmp_path: Path) -> None:
    pki = Pki.create(tmp_path / "pki", ["127.0.0.1"])
    plain, secure = free_ports(2)
    tls = f'tls {{ cert_file: "{pki.serving_cert}", key_file: "{pki.serving_key}" }}'
    for port, config in ((plain, "no_tls: true"), (secure, tls)):
        extra = f'websocket {{ listen: "127.0.0.1:{port}", {config} }}'
        async with NatsServer.start(tmp_path / f"nats{port}", jetstream=False, config_extra=extra) as server:
            scheme, ca = ("ws", "") if port == plain else ("wss", pki.ca_cert.read_text())
            spec = ConnectionSpec((f"{scheme}://127.0.0.1:{port}",), ca=ca)
            await works(pool, spec)
            connection = next(one for one in pool.open if one.spec == spec)
            await server.kill()
            await eventually(lambda connection=connection: not connection.state.connected)
            await server.server.start()
            await eventually(lambda connection=connection: connection.state.connected)
