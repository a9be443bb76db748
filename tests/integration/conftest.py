"""What several files share: an operator that follows applications for a file, a site for each of its tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from support.operators.in_process import RunningOperator
from support.sites.applications import Site, impatient
from testbed import ControlPlane, NatsServer, Server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def application_operator(crds: ControlPlane, wadm: Server) -> AsyncIterator[RunningOperator]:
    with impatient():
        async with RunningOperator.start(crds, services=False) as started:
            yield started


@pytest_asyncio.fixture(loop_scope="module")
async def site(
    crds: ControlPlane, nats_server: NatsServer, application_operator: RunningOperator
) -> AsyncIterator[Site]:
    async with crds.admin() as admin, Site.open(admin, nats_server) as opened:
        yield opened
