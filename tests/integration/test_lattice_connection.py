"""The supervised connection against a real NATS server that is killed, paused, rekeyed and lied to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import nats
import pytest
import structlog

from support.lattice.connections import QUICK, connected
from support.lattice.jwt import Account, Operator
from testbed import NatsServer, eventually
from testbed.waiting import in_one_task
from wasmcloud_operator.base.clock import SystemClock
from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.lattice.connection import Connection
from wasmcloud_operator.lattice.connection_pool import ConnectionPool
from wasmcloud_operator.lattice.connection_types import ConnectionState, Message, Timing
from wasmcloud_operator.lattice.errors import (
    AnswerLost,
    LatticeUnavailable,
    NoResponders,
    PayloadTooLarge,
    WadmUnavailable,
)
from wasmcloud_operator.lattice.pace import LoopShare
from wasmcloud_operator.lattice.spec import ConnectionSpec
from wasmcloud_operator.lattice.testing import flushed
from wasmcloud_operator.lattice.wadm import WadmWriter

IMPATIENT = replace(QUICK, ping_timeout=0.5)  # a busy machine's servers look silent to it, too


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer.start(tmp_path / "nats", jetstream=False) as started:
        yield started


@pytest.fixture
async def pool() -> AsyncIterator[ConnectionPool]:
    async with in_one_task(ConnectionPool(timing=QUICK)) as connections:
        yield connections


@contextlib.asynccontextmanager
async def responder(url: str, subject: str, answer: Callable[[bytes], bytes | None]) -> AsyncIterator[list[bytes]]:
    """A plain NATS client that answers on `subject`; None stays silent. Gives the payloads it has seen."""
    seen: list[bytes] = []
    client = await nats.connect(url)

    async def on_message(message: nats.aio.msg.Msg) -> None:
        seen.append(message.data)
        if (body := answer(message.data)) is not None:
            await message.respond(body)

    await client.subscribe(subject, cb=on_message)
    await flushed(client)
    try:
        yield seen
    finally:
        await client.close()


async def test_request_and_answer(server: NatsServer, pool: ConnectionPool) -> None:
    connection = pool.acquire(ConnectionSpec((server.url,))).connection
    async with responder(server.url, "echo", lambda data: data.upper()):
        assert await connection.request("echo", b"hi", timeout=60) == b"HI"  # waits for the first attempt by itself
    assert connection.state.reason == "Connected"
    assert connection.max_payload == 1024 * 1024


async def test_one_connection_for_equal_specs_until_the_last_lease_goes(
    server: NatsServer, pool: ConnectionPool
) -> None:
    first, second = pool.acquire(ConnectionSpec((server.url,))), pool.acquire(ConnectionSpec((server.url + "/",)))
    assert first.connection is second.connection
    await connected(first.connection)
    first.release()
    first.release()
    assert pool.open == (second.connection,)
    assert second.connection.state.connected
    second.release()
    assert pool.open == ()
    await eventually(lambda: second.connection.state.reason == "Closed")


async def test_failures_by_name(server: NatsServer, pool: ConnectionPool) -> None:
    connection = pool.acquire(ConnectionSpec((server.url,))).connection
    with pytest.raises(NoResponders):
        await connection.request("nobody.home", timeout=60)
    with pytest.raises(PayloadTooLarge) as caught:
        await connection.request("big", b"x" * (1024 * 1024 + 1), timeout=60)
    assert (caught.value.size, caught.value.limit) == (1024 * 1024 + 1, 1024 * 1024)
    async with responder(server.url, "mute", lambda _: None) as seen:
        with pytest.raises(AnswerLost, match="no answer on mute"):
            await connection.request("mute", b"once", timeout=0.3)
        await eventually(lambda: seen == [b"once"])


class Lease:
    """A gate that closes ten seconds after the start of the clock."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock

    def remaining(self) -> float:
        return 10.0 - self.clock.monotonic()


async def test_a_process_frozen_before_it_sends_a_write_does_not_send_it(
    server: NatsServer, pool: ConnectionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = pool.acquire(ConnectionSpec((server.url,))).connection
    clock = VirtualClock()
    wadm = WadmWriter(connection, "default", timeout=60.0, gate=Lease(clock))
    publish = nats.aio.client.Client._send_publish

    async def frozen(*args: object, **named: object) -> None:
        await clock.advance(20)  # as SIGSTOP, or a node that stands still
        await publish(*args, **named)

    async with responder(server.url, "wadm.api.default.>", lambda _: b'{"result":"acknowledged"}') as seen:
        await connected(connection)
        await wadm.deploy("before")
        assert len(seen) == 1
        monkeypatch.setattr(nats.aio.client.Client, "_send_publish", frozen)
        with pytest.raises(WadmUnavailable, match="not the leader"):
            await wadm.deploy("after")
        monkeypatch.undo()
        assert await connection.request("wadm.api.default.read", b"", timeout=60)  # reads are free
        assert [len(seen), seen[1]] == [2, b""]


async def test_a_write_goes_out_in_the_step_in_which_its_gate_was_asked(
    server: NatsServer, pool: ConnectionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not later, by nats-py's flusher: the process may be frozen before that has its turn."""
    connection = pool.acquire(ConnectionSpec((server.url,))).connection
    wadm = WadmWriter(connection, "default", timeout=60.0, gate=Lease(VirtualClock()))
    async with responder(server.url, "wadm.api.default.>", lambda _: b'{"result":"acknowledged"}') as seen:
        await connected(connection)
        client = connection._client
        assert client is not None
        await wadm.deploy("before")

        async def no_turn(force_flush: bool = False) -> None:
            pass

        monkeypatch.setattr(client, "_flush_pending", no_turn)
        await wadm.deploy("after")
        assert len(seen) == 2


async def test_not_connected_fails_at_once_and_nothing_is_sent_later(server: NatsServer, pool: ConnectionPool) -> None:
    connection = pool.acquire(ConnectionSpec((server.url,))).connection
    await connected(connection)
    await server.kill()
    await eventually(lambda: not connection.state.connected)
    async with asyncio.timeout(30):
        with pytest.raises(LatticeUnavailable):
            await connection.request("late", b"must not arrive", timeout=60)
    await server.server.start()
    async with responder(server.url, "late", lambda data: data) as seen:
        await connected(connection)
        assert await connection.request("late", b"now", timeout=60) == b"now"
        assert seen == [b"now"]


async def test_server_killed_and_restarted_subscriptions_come_back(server: NatsServer, pool: ConnectionPool) -> None:
    connection = pool.acquire(ConnectionSpec((server.url,))).connection
    states: list[ConnectionState] = []
    connection.listen(states.append)
    arrived: list[Message] = []
    await connection.subscribe("news.*", arrived.append)
    await connected(connection)
    with structlog.testing.capture_logs() as logs:
        await server.restart()
        await eventually(lambda: [so for so, _ in groupby(state.connected for state in states)] == [True, False, True])
    assert [line["reason"] for line in logs][-1] == "Connected"  # soon after the first time, but the last was a loss
    await connection.publish("news.today", b"back")
    await eventually(lambda: [(message.subject, message.data) for message in arrived] == [("news.today", b"back")])
    assert connection.statistics().clients == 2


async def test_request_under_way_when_the_server_dies_fails_at_once(server: NatsServer, pool: ConnectionPool) -> None:
    connection = pool.acquire(ConnectionSpec((server.url,))).connection
    async with responder(server.url, "mute", lambda _: None) as seen:
        asked = asyncio.create_task(connection.request("mute", b"?", timeout=120))
        await eventually(lambda: seen)
    await server.kill()
    async with asyncio.timeout(30):
        with pytest.raises(AnswerLost, match="broke"):
            await asked


async def test_a_peer_that_stops_answering_is_noticed_and_recovers(server: NatsServer) -> None:
    async with ConnectionPool(timing=IMPATIENT) as pool:
        connection = pool.acquire(ConnectionSpec((server.url,))).connection
        await connected(connection)
        server.pause()
        await eventually(lambda: not connection.state.connected)
        assert connection.state.reason == "Unreachable"
        assert "no answer" in connection.state.message
        server.resume()
        await connected(connection)


async def test_a_silent_server_holds_up_nobody_else(server: NatsServer, pool: ConnectionPool, tmp_path: Path) -> None:
    async with NatsServer.start(tmp_path / "other", jetstream=False) as other:
        silent = pool.acquire(ConnectionSpec((server.url,))).connection
        live = pool.acquire(ConnectionSpec((other.url,))).connection
        await connected(silent)
        await connected(live)
        server.pause()
        try:
            async with responder(other.url, "echo", lambda data: data):
                lost = [asyncio.create_task(silent.request("echo", b"", timeout=1)) for _ in range(20)]
                for _ in range(50):
                    assert await live.request("echo", b"x", timeout=60) == b"x"
            assert {type(error) for error in await asyncio.gather(*lost, return_exceptions=True)} == {AnswerLost}
        finally:
            server.resume()


async def test_never_there_says_so_and_connects_when_it_comes(server: NatsServer, pool: ConnectionPool) -> None:
    await server.kill()
    connection = pool.acquire(ConnectionSpec((server.url,))).connection
    await eventually(lambda: connection.state.reason == "Unreachable")
    assert connection.state.message == f"nats://127.0.0.1:{server.port}: connection refused"
    since = connection.state.since
    await eventually(lambda: connection.statistics().last_error)
    assert connection.state.since == since
    await server.server.start()
    await connected(connection)


async def test_the_next_server_of_the_list_is_tried(server: NatsServer, pool: ConnectionPool) -> None:
    connection = pool.acquire(ConnectionSpec(("nats://127.0.0.1:1", server.url))).connection
    await connected(connection)


async def test_the_faults_of_several_servers_are_reported_once(pool: ConnectionPool, tmp_path: Path) -> None:
    root = Operator(Account("APP")).server_config()
    async with NatsServer.start(tmp_path, jetstream=False, config_extra=root) as guarded:
        connection = pool.acquire(ConnectionSpec((guarded.url, "nats://127.0.0.1:1"))).connection
        states: list[ConnectionState] = []
        connection.listen(states.append)

        async def tried_often() -> bool:
            return (await guarded.monitor("varz"))["total_connections"] >= 6

        await eventually(tried_often)
        assert {state.reason for state in states} == {"CredentialsRejected"}
        assert len(states) == 2
        assert f":{guarded.port}: the server refuses the credentials" in states[-1].message
        assert states[-1].message.endswith("; nats://127.0.0.1:1: connection refused")


async def test_scatter_gather(server: NatsServer, pool: ConnectionPool) -> None:
    connection = pool.acquire(ConnectionSpec((server.url,))).connection
    await connected(connection)
    async with asyncio.timeout(60):  # no responders is an answer
        assert await connection.request_many("ping", timeout=3600) == ()
    async with contextlib.AsyncExitStack() as stack:
        for number in range(3):
            body = str(number).encode()
            await stack.enter_async_context(responder(server.url, "ping", lambda _, body=body: body))
        assert sorted(await connection.request_many("ping", timeout=60, quiet_for=60, limit=3)) == [b"0", b"1", b"2"]
        assert await connection.request_many("ping", timeout=3600, quiet_for=0.1)  # it is quiet then
    assert connection.statistics().in_flight == 0


async def test_a_handler_or_listener_that_raises_breaks_nothing(server: NatsServer, pool: ConnectionPool) -> None:
    connection = pool.acquire(ConnectionSpec((server.url,))).connection
    calls: list[str] = []

    def bad_listener(_: ConnectionState) -> None:
        calls.append("listener")
        raise RuntimeError("listener")

    def bad_handler(_: Message) -> None:
        calls.append("handler")
        raise RuntimeError("handler")

    connection.listen(bad_listener)
    await connection.subscribe("x", bad_handler)
    await connected(connection)
    await connection.publish("x", b"1")
    await connection.publish("x", b"2")
    await eventually(lambda: calls == ["listener", "handler", "handler"])
    assert connection.statistics().clients == 1


async def test_cancelled_while_connecting_ends_at_once() -> None:
    listener = await asyncio.start_server(lambda _reader, _writer: asyncio.sleep(60), "127.0.0.1", 0)  # never says INFO
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        patient = Timing(connect_timeout=3600.0)
        clock, spec = SystemClock(), ConnectionSpec((f"nats://127.0.0.1:{port}",))
        connection = Connection(spec, clock=clock, share_of_all=LoopShare.of_all(clock), timing=patient)
        task = asyncio.create_task(connection.run())
        await asyncio.sleep(0)
        with pytest.raises(LatticeUnavailable, match="not connected"):
            await connection.request("x", timeout=0.3)
        task.cancel()
        await asyncio.wait({task}, timeout=60)
        assert task.cancelled()


async def test_a_request_and_its_answer_are_traced(server: NatsServer) -> None:
    spans: list[tuple[str, dict[str, str], str]] = []

    @contextlib.contextmanager
    def span(name: str, attributes: dict[str, str]) -> Iterator[None]:
        outcome = "failed"
        try:
            yield
            outcome = "answered"
        finally:
            spans.append((name, attributes, outcome))

    async with in_one_task(ConnectionPool(timing=QUICK, span=span)) as connections:
        with connections.acquire(ConnectionSpec((server.url,))) as connection:
            async with responder(server.url, "a.b", lambda body: body):
                await connection.request("a.b", b"x", timeout=30)
            with pytest.raises(NoResponders):
                await connection.request("nobody", timeout=30)
    subjects = [attributes["messaging.destination.name"] for _, attributes, _ in spans]
    assert subjects == ["a.b", "nobody"]
    assert [(name, outcome) for name, _, outcome in spans] == [("NATS request", "answered"), ("NATS request", "failed")]
