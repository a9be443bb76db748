"""Fixtures of the tests of Services."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support.kube.bench import KubeBench
from support.sites.reconciled_services import Site


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    bench = KubeBench()
    made = Site(bench)
    await made.begin()
    yield made
    await bench.stop()
