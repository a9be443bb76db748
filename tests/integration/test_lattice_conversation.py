"""The host for tests says what a real host says: the same conversation, against the recording of a real one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nats
import pytest
import pytest_asyncio

from support.lattice.host_conversation import HEARTBEAT_SECONDS, RECORDING, Listener, normal
from testbed import NatsServer
from wasmcloud_operator.lattice.testing import HTTP_SERVER, LatticeHost, SharedLattice

pytestmark = pytest.mark.asyncio(loop_scope="module")

RECORDED: dict[str, Any] = json.loads(RECORDING.read_text(encoding="utf-8"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def heard(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Any]]:
    folder: Path = tmp_path_factory.mktemp("conversation")
    async with NatsServer.start(folder) as server:
        client = await nats.connect(server.url)
        listener = Listener(client, "default")
        await listener.start()
        labels = {"kubernetes_pod_name": "pod-1", **{f"hostcore.{what}": "x" for what in ("arch", "os", "osfamily")}}
        async with LatticeHost.running(server.url, SharedLattice(), labels=labels, heartbeat=HEARTBEAT_SECONDS):
            said = await listener.converse("file:///web.wasm", "file:///next.wasm", HTTP_SERVER, "127.0.0.1:8000")
            before = len(listener.events)
        stopped = await listener.wait("host_stopped", before)
        said["host_stopped"] = normal(stopped, {stopped["source"]: "<host>"})
        await client.close()
        yield said


@pytest.mark.parametrize("what", RECORDED)
async def test_the_host_for_tests_says_what_a_real_one_says(heard: dict[str, Any], what: str) -> None:
    assert heard[what] == RECORDED[what]


async def test_nothing_else_is_said(heard: dict[str, Any]) -> None:
    assert heard.keys() == RECORDED.keys()
