"""Fixtures of the tests of host configs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from support.sites.reconciled_pool import PoolSite
from testbed.waiting import in_one_task
from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.lattice.lattices import Lattices
from wasmcloud_operator.shared.pools import Pools


@pytest_asyncio.fixture
async def site() -> AsyncIterator[PoolSite]:
    async with in_one_task(Lattices(gate=AlwaysOpen(), clock=VirtualClock())) as lattices:
        yield PoolSite(Pools(lattices))
