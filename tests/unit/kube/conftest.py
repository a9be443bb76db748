from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support.kube.bench import KubeBench


@pytest.fixture
async def bench() -> AsyncIterator[KubeBench]:
    made = KubeBench()
    yield made
    await made.stop()
