from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.kube.applied import World
from support.kube.bench import KubeBench
from support.kube.objects import WIDGET, widget
from support.kube.play import Play
from support.kube.replicas import Pair
from support.kube.served import Served
from wasmcloud_operator.kube.credentials import Credentials
from wasmcloud_operator.kube.testing import ScriptedApi, ScriptedApiServer
from wasmcloud_operator.kube.transport import ConnectionOptions, Transport


@pytest.fixture
async def bench() -> AsyncIterator[KubeBench]:
    made = KubeBench()
    yield made
    await made.stop()


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    made = Pair()
    yield made
    await made.close()


@pytest.fixture
async def world(bench: KubeBench) -> World:
    made = World(bench)
    await bench.clock.until(lambda: made.kind.informer.synced)
    bench.api.requests.clear()
    return made


@pytest.fixture
async def play():
    plays: list[Play] = []

    def make(**settings) -> Play:
        plays.append(Play(**settings))
        return plays[-1]

    yield make
    for made in plays:
        made.task.cancel()
        await asyncio.gather(made.task, return_exceptions=True)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    api = ScriptedApi()
    api.put(WIDGET, widget("a"))
    async with ScriptedApiServer.serve(api) as server:
        credentials = Credentials(kubeconfig=server.kubeconfig(tmp_path / "kubeconfig"))
        async with Transport.open(ConnectionOptions(credentials=credentials)) as transport:
            yield Served(api, transport)
