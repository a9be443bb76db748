"""The wadm client against a real wadm, and against one that lies, loses answers or is not there."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import nats
import pytest

from testbed import NatsServer, Wadm, eventually
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.lattice.connection import Connection
from wasmcloud_operator.lattice.errors import (
    PayloadTooLarge,
    WadmGarbled,
    WadmNotFound,
    WadmRejected,
    WadmTransient,
    WadmUnavailable,
    WadmVersionExists,
)
from wasmcloud_operator.lattice.testing import flushed
from wasmcloud_operator.lattice.wadm import WadmWriter
from wasmcloud_operator.lattice.wadm_events import (
    ManifestPublished,
    ManifestUnpublished,
    StatusPushed,
    WadmEvent,
    subscribe_wadm,
)
from wasmcloud_operator.lattice.wadm_types import StatusType


@pytest.fixture
async def wadm(own_nats: NatsServer, tmp_path: Path) -> AsyncIterator[None]:
    async with Wadm.start(tmp_path / "wadm", own_nats.url):
        yield


@pytest.fixture
def client(connection: Connection) -> WadmWriter:
    return WadmWriter(connection, "default", gate=AlwaysOpen(), timeout=60)


def manifest(name: str = "hello", version: str = "v1", component: str = "c", **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "core.oam.dev/v1beta1",
        "kind": "Application",
        "metadata": {"name": name, "annotations": {"version": version}, **metadata},
        "spec": {
            "components": [
                {
                    "name": component,
                    "type": "component",
                    "properties": {"image": "localhost:5000/none:1", "id": f"{name}-{component}"},
                    "traits": [{"type": "spreadscaler", "properties": {"instances": 1}}],
                }
            ]
        },
    }


async def test_the_whole_cycle(wadm: None, client: WadmWriter, connection: Connection) -> None:
    events: list[WadmEvent] = []
    await subscribe_wadm(connection, client.subjects, events.append)

    assert await client.list() == ()
    with pytest.raises(WadmNotFound, match="hello not found"):
        await client.get("hello")
    with pytest.raises(WadmNotFound):
        await client.versions("hello")
    with pytest.raises(WadmNotFound):
        await client.deploy("hello")
    with pytest.raises(WadmNotFound):
        await client.undeploy("hello")
    assert (await client.status("hello")).info.type is StatusType.UNDEPLOYED
    assert await client.delete("hello") is False

    put = await client.put(manifest())
    assert (put.name, put.version, put.total_versions) == ("hello", "v1", 1)
    with pytest.raises(WadmVersionExists, match="v1 already exists"):
        await client.put(manifest())
    assert (await client.put(manifest(version="v2"))).total_versions == 2
    assert [(entry.version, entry.deployed) for entry in await client.versions("hello")] == [
        ("v1", False),
        ("v2", False),
    ]
    assert (await client.get("hello"))["metadata"]["annotations"]["version"] == "v2"
    assert (await client.get("hello", "v1"))["metadata"]["annotations"]["version"] == "v1"
    with pytest.raises(WadmNotFound, match="v9"):
        await client.get("hello", "v9")
    with pytest.raises(WadmRejected, match="does not have a version 'v9'"):
        await client.deploy("hello", "v9")

    await client.deploy("hello", "v1")
    assert [entry.version for entry in await client.versions("hello") if entry.deployed] == ["v1"]
    await eventually(lambda: [event.name for event in events if isinstance(event, ManifestPublished)] == ["hello"])
    (summary,) = await client.list()
    assert (summary.name, summary.version, summary.deployed_version) == ("hello", "v2", "v1")
    assert summary.status.type is StatusType.WAITING, "no host is there to run it"

    await client.undeploy("hello")
    await client.undeploy("hello")
    await eventually(lambda: [event.name for event in events if isinstance(event, ManifestUnpublished)])
    assert not [entry for entry in await client.versions("hello") if entry.deployed]
    assert await client.delete("hello", "v1") is True
    assert await client.delete("hello", "v1") is False
    assert [entry.version for entry in await client.versions("hello")] == ["v2"]
    assert await client.delete("hello") is True
    assert await client.list() == ()


async def test_refusals_are_one_line_with_the_reason(wadm: None, client: WadmWriter) -> None:
    twice = manifest()
    twice["spec"]["components"] *= 2
    with pytest.raises(WadmRejected) as caught:
        await client.put(twice)
    assert "\n" not in caught.value.message
    assert "uplicate" in caught.value.message
    with pytest.raises(WadmRejected) as caught:
        await client.put({"apiVersion": "core.oam.dev/v1beta1", "kind": "Application", "status": {}})
    assert "\n" not in caught.value.message
    assert "backtrace" not in caught.value.message.lower()
    assert caught.value.message

    await client.put(manifest("a"))
    await client.deploy("a")
    other = manifest("b")
    other["spec"]["components"][0]["properties"]["id"] = "a-c"
    await client.put(other)
    with pytest.raises(WadmRejected, match="already deployed in a different application 'a'"):
        await client.deploy("b")
    with pytest.raises(PayloadTooLarge):
        await client.put(manifest("big", description="x" * 1_100_000))


async def test_concurrent_puts_all_arrive(wadm: None, client: WadmWriter) -> None:
    await client.put(manifest(version="0"))
    versions = [str(number) for number in range(1, 4)]
    await asyncio.gather(*(client.put(manifest(version=version)) for version in versions))
    assert sorted(entry.version for entry in await client.versions("hello")) == ["0", *versions]


async def test_unicode_and_a_numeric_looking_version_survive(wadm: None, client: WadmWriter) -> None:
    text = "grüße 🚀 \u2028"
    await client.put(manifest(version="1.0", labels={"k": text}))
    assert (await client.get("hello"))["metadata"]["labels"] == {"k": text}


async def test_requests_work_again_after_a_nats_restart(
    wadm: None, client: WadmWriter, connection: Connection, own_nats: NatsServer
) -> None:
    events: list[WadmEvent] = []
    await subscribe_wadm(connection, client.subjects, events.append)
    await client.put(manifest())
    await own_nats.restart()
    await eventually(lambda: connection.state.connected)

    async def deployed() -> bool:
        await client.deploy("hello")
        return True

    await eventually(deployed)
    await eventually(lambda: any(isinstance(event, ManifestPublished) for event in events))


async def test_a_wadm_that_is_not_there_is_known_at_once(client: WadmWriter) -> None:
    with pytest.raises(WadmUnavailable, match="does not listen on lattice default") as caught:
        await client.put(manifest())
    assert not caught.value.may_have_run


@contextlib.asynccontextmanager
async def impostor(url: str, answer: Callable[[str, bytes], bytes | None]) -> AsyncIterator[list[str]]:
    """Something that answers on wadm's subjects; yields the operations it was asked for."""
    asked: list[str] = []
    peer = await nats.connect(url)

    async def on_message(message: nats.aio.msg.Msg) -> None:
        operation = message.subject.split(".", 4)[4]
        asked.append(operation)
        if (body := answer(operation, message.data)) is not None:
            await message.respond(body)

    await peer.subscribe("wadm.api.default.model.>", cb=on_message)
    await flushed(peer)
    try:
        yield asked
    finally:
        await peer.close()


async def test_of_lost_answers_only_reads_are_repeated(own_nats: NatsServer, connection: Connection) -> None:
    client = WadmWriter(connection, "default", gate=AlwaysOpen(), timeout=0.3)
    async with impostor(own_nats.url, lambda *_: None) as asked:
        with pytest.raises(WadmUnavailable) as caught:
            await client.put(manifest())
        assert caught.value.may_have_run
        with pytest.raises(WadmUnavailable):
            await client.deploy("hello")
        with pytest.raises(WadmUnavailable):
            await client.versions("hello")
        await eventually(lambda: asked == ["put", "deploy.hello", "versions.hello", "versions.hello"])


async def test_a_silent_wadm_holds_few_callers_at_a_time(own_nats: NatsServer, connection: Connection) -> None:
    client = WadmWriter(connection, "default", gate=AlwaysOpen(), timeout=0.5)
    async with impostor(own_nats.url, lambda *_: None) as asked:
        with pytest.raises(WadmUnavailable):
            await client.deploy("first")
        results = await asyncio.gather(*(client.deploy("many") for _ in range(50)), return_exceptions=True)
        assert all(isinstance(result, WadmUnavailable) for result in results)
        await eventually(lambda: asked.count("deploy.many") == 2)

    async def answered() -> bool:
        await client.deploy("back")
        await asyncio.gather(*(client.deploy("many") for _ in range(50)))
        return True

    async with impostor(own_nats.url, lambda *_: b'{"result": "acknowledged"}'):
        await eventually(answered)  # half a second is little on a busy machine


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"nonsense",
        b"1",
        b"null",
        b"{}",
        b'{"result": 7}',
        b'{"result": "success"}',
        b'{"result": "success", "versions": [{"deployed": "perhaps"}], "models": [5], "status": [], "manifest": []}',
    ],
)
async def test_garbage_is_called_garbage(own_nats: NatsServer, client: WadmWriter, body: bytes) -> None:
    async with impostor(own_nats.url, lambda *_: body):
        for call in (client.get("a"), client.list(), client.versions("a"), client.status("a")):
            with pytest.raises(WadmGarbled):
                await call


async def test_a_backtrace_is_cut_and_a_storage_error_is_tried_again(own_nats: NatsServer, client: WadmWriter) -> None:
    backtrace = (
        "missing field `spec` at line 1\n\nStack backtrace:\n   0: anyhow::error::<impl>::from\n   1: wadm::server"
    )
    async with impostor(own_nats.url, lambda *_: json.dumps({"result": "error", "message": backtrace}).encode()):
        with pytest.raises(WadmRejected) as caught:
            await client.put(manifest())
        assert caught.value.message == "missing field `spec` at line 1"
    storage = b'{"result": "error", "message": "Internal storage error"}'
    async with impostor(own_nats.url, lambda *_: storage) as asked:
        with pytest.raises(WadmTransient):
            await client.put(manifest())
        assert asked == ["put", "put", "put"]


async def test_a_list_of_an_older_wadm(own_nats: NatsServer, client: WadmWriter) -> None:
    """Before 0.15 `get` needs a name and `list` answers a bare array; before 0.14 there is no detailed_status."""
    entry = {"name": "a", "version": "1", "description": None, "deployed_version": None, "status": "compensating"}

    def answer(operation: str, _: bytes) -> bytes:
        if operation == "get":
            return b'{"result": "error", "message": "Invalid subject"}'
        return json.dumps([entry | {"status_message": "busy"}]).encode()

    async with impostor(own_nats.url, answer):
        (summary,) = await client.list()
    assert (summary.name, summary.version, summary.deployed_version) == ("a", "1", "")
    assert (summary.status.type, summary.status.message) == (StatusType.RECONCILING, "busy")


async def test_garbage_pushes_are_dropped(own_nats: NatsServer, connection: Connection, client: WadmWriter) -> None:
    events: list[WadmEvent] = []
    await subscribe_wadm(connection, client.subjects, events.append)
    for subject in ("wadm.status.default.a", "wadm.evt.default.manifest_published", "wadm.evt.default"):
        for body in (b"", b"\xff", b"[]", b'{"type": "com.wadm.manifest_published", "data": 1}', b'{"status": 3}'):
            await connection.publish(subject, body)
    await connection.publish("wadm.status.default.a", b'{"status": {"type": "brand-new", "message": "a\\nb"}}')
    await eventually(lambda: events)
    (event,) = events
    assert isinstance(event, StatusPushed)
    assert (event.name, event.status.info.type, event.status.info.message) == ("a", StatusType.UNKNOWN, "a; b")
