"""What an unfriendly NATS server can do to the connection to it, and what it cannot do to others."""

from __future__ import annotations

import asyncio
import gc
import os
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from support.hostile.nats import (
    TLS_FAULTS,
    HostileNats,
    Script,
    answer_pings,
    drip,
    failing_tls,
    flood,
    greet,
    info_line,
    shake_hands,
)
from support.lattice.jwt import Account
from testbed import NatsServer, eventually
from testbed.pki import Pki
from testbed.waiting import in_one_task
from wasmcloud_operator.lattice import bounded_client
from wasmcloud_operator.lattice.connection import Connection
from wasmcloud_operator.lattice.connection_pool import ConnectionPool
from wasmcloud_operator.lattice.connection_types import Message, Timing
from wasmcloud_operator.lattice.errors import InvalidConnection, NoResponders
from wasmcloud_operator.lattice.spec import ConnectionSpec

QUICK = Timing(connect_timeout=20.0, ping_interval=1.0, ping_timeout=60.0, backoff_first=0.05, backoff_limit=0.2)
MIB = 1024 * 1024


@pytest.fixture
async def pool() -> AsyncIterator[ConnectionPool]:
    async with in_one_task(ConnectionPool(timing=QUICK)) as connections:
        yield connections


@pytest.fixture
async def friendly(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer.start(tmp_path / "friendly", jetstream=False) as server:
        yield server


def resident_mebibytes() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MIB


async def refused(connection: Connection, words: str, reason: str = "Unreachable") -> None:
    await eventually(lambda: words in connection.state.message and not connection.state.connected, message=f"{words}")
    assert connection.state.reason == reason


async def still_serves(pool: ConnectionPool, server: NatsServer) -> None:
    """Another tenant's connection is made and answers."""
    with pool.acquire(ConnectionSpec((server.url,))) as connection:
        await eventually(lambda: connection.state.connected)
        with pytest.raises(NoResponders):
            await connection.request("nobody", timeout=60)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        pytest.param(flood(b"MSG a 1 99999999999\r\n" + b"x" * MIB), "larger than the max_payload", id="length"),
        pytest.param(flood(b"HMSG a 1 99 12\r\n" + b"x" * MIB), "control line without end", id="header-length"),
        pytest.param(flood(b"INFO {" + b"x" * MIB), "control line without end", id="info"),
        pytest.param(flood(b"MSG " + b"x" * MIB), "control line without end", id="line"),
        pytest.param(flood(b"NONSENSE\r\n"), "breaks the NATS protocol", id="verb"),
        pytest.param(flood(b"INFO {]\r\n"), "breaks the NATS protocol", id="json"),
        pytest.param(flood(b"-ERR\r\n"), "breaks the NATS protocol", id="err"),
        pytest.param(flood(b"-ERR 'hunter2'\r\n"), "an error of its own", id="words"),
        pytest.param(flood(b"x" * 65536, max_payload="1"), "not a size", id="max-payload-text"),
        pytest.param(flood(b"x" * 65536, max_payload=1 << 62), "not a size", id="max-payload-huge"),
        pytest.param(greet(b"SSH-2.0-hunter2\r\n"), "does not speak the NATS protocol", id="ssh"),
        pytest.param(greet(b"INFO " + b"[" * MIB), "does not speak the NATS protocol", id="first-info"),
        pytest.param(greet(b"INFO []\r\n"), "the connection failed (AttributeError)", id="no-object"),
    ],
)
async def test_a_server_that_breaks_the_rules_is_left_with_a_reason(
    pool: ConnectionPool, friendly: NatsServer, script: Script, words: str
) -> None:
    before = resident_mebibytes()
    with structlog.testing.capture_logs() as logs:
        async with HostileNats.start(script) as hostile:
            lease = pool.acquire(ConnectionSpec((hostile.url,)))
            await refused(lease.connection, words)
            await eventually(lambda: hostile.clients >= 2)  # tried again, after a pause
            await still_serves(pool, friendly)
            lease.release()
    assert resident_mebibytes() - before < 64
    assert "hunter2" not in repr(logs) + repr(lease.connection.state)
    assert len(logs) < 10


async def test_a_flood_of_small_frames_leaves_the_loop_to_others(pool: ConnectionPool, friendly: NatsServer) -> None:
    """A hub that sends as fast as it can takes a share of the time, not all of it."""
    seen: list[Message] = []
    async with HostileNats.start(flood(b"MSG news 1 2\r\nhi\r\n" * 4096)) as hostile:
        connection = pool.acquire(ConnectionSpec((hostile.url,))).connection
        await connection.subscribe("news", lambda message: seen.append(message) if len(seen) < 10 else None)
        await eventually(lambda: seen)
        loop = asyncio.get_running_loop()
        late = []
        for _ in range(50):
            due = loop.time() + 0.02
            await asyncio.sleep(0.02)
            late.append(loop.time() - due)
        await still_serves(pool, friendly)
    assert sorted(late)[25] < 0.1, late


async def test_a_message_larger_than_we_take_is_skipped_and_the_next_arrives(pool: ConnectionPool) -> None:
    """Whoever may publish in a lattice of a large max_payload must not be able to end the operator's connection."""
    large = bounded_client.MESSAGE_LIMIT * 2

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake_hands(reader, writer, max_payload=64 * MIB)
        while not (await reader.readline()).startswith(b"PING"):
            continue
        writer.write(b"PONG\r\nMSG news 1 %d\r\n" % large + b"x" * large + b"\r\nMSG news 1 2\r\nhi\r\n")
        await answer_pings(reader, writer)

    seen: list[bytes] = []
    async with HostileNats.start(script) as hostile:
        connection = pool.acquire(ConnectionSpec((hostile.url,))).connection
        await connection.subscribe("news", lambda message: seen.append(message.data))
        await eventually(lambda: seen == [b"hi"])
        assert connection.statistics().clients == 1


async def test_server_lists_of_any_length_cost_nothing(pool: ConnectionPool, friendly: NatsServer) -> None:
    urls = [f"10.0.{number // 250}.{number % 250}:4222" for number in range(40_000)]
    line = info_line(connect_urls=urls)
    assert len(line) < MIB
    async with HostileNats.start(flood(line, total=20 * len(line))) as hostile:
        connection = pool.acquire(ConnectionSpec((hostile.url,))).connection
        await eventually(lambda: connection.server and len(connection.server.urls) > 1)
        assert connection.server is not None
        assert len(connection.server.urls) <= 64
        await still_serves(pool, friendly)


async def test_a_server_that_drips_is_given_up(friendly: NatsServer) -> None:
    timing = Timing(connect_timeout=1.0, backoff_first=0.05, backoff_limit=0.1)
    async with HostileNats.start(drip(info_line(), pause=0.2)) as hostile, ConnectionPool(timing=timing) as pool:
        connection = pool.acquire(ConnectionSpec((hostile.url,))).connection
        await refused(connection, "no answer")


class TestTls:
    @pytest.mark.parametrize("scheme", ["nats", "tls"])
    async def test_credentials_never_go_out_in_clear_text(
        self, pool: ConnectionPool, tmp_path: Path, scheme: str
    ) -> None:
        """natsTls with a server that offers none: refused before the CONNECT line with the secret is written."""
        pki = Pki.create(tmp_path / "pki", ["127.0.0.1"])
        async with HostileNats.start(flood(b"PING\r\n", auth_required=True, nonce="abc")) as hostile:
            url = f"{scheme}://user:hunter2@127.0.0.1:{hostile.port}"
            ca = pki.ca_cert.read_text() if scheme == "nats" else ""
            spec = ConnectionSpec((url,), ca=ca, credentials=Account("A").credentials("u"))
            connection = pool.acquire(spec).connection
            await refused(connection, "does not offer TLS", "TLSFailed")
            await eventually(lambda: hostile.clients >= 2)
            assert not hostile.received

    def test_a_websocket_without_tls_is_refused_where_tls_is_asked_for(self, tmp_path: Path) -> None:
        ca = Pki.create(tmp_path / "pki", ["127.0.0.1"]).ca_cert.read_text()
        with pytest.raises(InvalidConnection, match="wss://"):
            ConnectionSpec(("ws://hub",), ca=ca)

    @pytest.mark.parametrize("scheme", ["tls", "wss"])
    @pytest.mark.parametrize("fault", ["other-ca", "other-name", *TLS_FAULTS[1:]])
    async def test_each_way_that_tls_fails_has_a_name(
        self, pool: ConnectionPool, friendly: NatsServer, tmp_path: Path, scheme: str, fault: str
    ) -> None:
        pki = Pki.create(tmp_path / "pki", ["elsewhere.example" if fault == "other-name" else "127.0.0.1"])
        trusted = Pki.create(tmp_path / "other", ["127.0.0.1"]) if fault == "other-ca" else pki
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(pki.serving_cert, pki.serving_key)
        untrusted = fault.startswith("other")
        script = failing_tls("certificate" if untrusted else fault, scheme, context)
        async with HostileNats.start(script, tls=context if untrusted and scheme == "wss" else None) as hostile:
            spec = ConnectionSpec((f"{scheme}://127.0.0.1:{hostile.port}",), ca=trusted.ca_cert.read_text())
            connection = pool.acquire(spec).connection
            await eventually(lambda: connection.state.reason != "Connecting")
            assert connection.state.reason in ("TLSFailed", "Unreachable"), connection.state
            assert not any(words in connection.state.message for words in ("hunter2", "0x", "Error")), connection.state
            if untrusted:
                assert connection.state.reason == "TLSFailed"
            await still_serves(pool, friendly)


@pytest.mark.parametrize(
    ("banner", "words"),
    [
        (b"SSH-2.0-hunter2\r\n", "does not answer as a NATS websocket listener does"),
        (b"HTTP/1.1 418 hunter2\r\n\r\n", "does not answer as a NATS websocket listener does"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/hunter2\r\n\r\n", "redirects to another address"),
    ],
    ids=["ssh", "status", "redirect"],
)
async def test_the_answer_of_an_internal_service_is_not_shown(
    pool: ConnectionPool, friendly: NatsServer, banner: bytes, words: str
) -> None:
    with structlog.testing.capture_logs() as logs:
        async with HostileNats.start(greet(banner)) as hostile:
            connection = pool.acquire(ConnectionSpec((hostile.url.replace("nats:", "ws:"),))).connection
            await refused(connection, words)
            await still_serves(pool, friendly)
    shown = repr(logs) + repr(connection.state) + repr(connection.statistics())
    assert "hunter2" not in shown
    reason = connection.state.message.partition(": ")[2]  # without the address, whose port may have these digits
    assert "418" not in reason


@pytest.mark.parametrize("error", [RuntimeError("a fault of ours"), asyncio.CancelledError()])
async def test_no_exception_of_a_connections_task_reaches_another(
    friendly: NatsServer, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """Whatever is overlooked in one connection, all others live on, and that one is started anew."""
    run = Connection.run
    failed = []

    async def fails_once(self: Connection) -> None:
        if not failed:
            failed.append(self)
            raise error
        await run(self)

    monkeypatch.setattr(Connection, "run", fails_once)
    monkeypatch.setattr("wasmcloud_operator.lattice.connection_pool._RESTART_AFTER", 0.05)
    async with ConnectionPool(timing=QUICK) as pool:
        first = pool.acquire(ConnectionSpec((friendly.url,))).connection
        await eventually(lambda: failed and first.state.connected)
        await still_serves(pool, friendly)
