from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support.kube.applied import World
from support.kube.bench import KubeBench
from support.kube.replicas import Pair


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
