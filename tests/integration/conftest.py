"""What several files share: an operator for the tests of a file, a site for each of its tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from support.kube.live import KubeLive
from support.operators.in_process import RunningOperator
from support.sites.applications import Site, impatient
from support.sites.services import ServiceSite
from testbed import ControlPlane, Kwok, NatsServer, Server, eventually
from testbed.waiting import in_one_task
from wasmcloud_operator.lattice.connection import Connection
from wasmcloud_operator.lattice.connection_pool import ConnectionPool
from wasmcloud_operator.lattice.connection_types import Timing
from wasmcloud_operator.lattice.spec import ConnectionSpec


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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service_operator(crds: ControlPlane, kwok: Kwok, wadm: Server) -> AsyncIterator[RunningOperator]:
    """One that makes Services as well, beside simulated pods."""
    async with RunningOperator.start(crds) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def service_site(
    crds: ControlPlane, nats_server: NatsServer, service_operator: RunningOperator
) -> AsyncIterator[ServiceSite]:
    async with crds.admin() as admin, ServiceSite.open(admin, nats_server, replicas=2) as opened:
        yield opened


@pytest_asyncio.fixture
async def live(control_plane: ControlPlane) -> AsyncIterator[KubeLive]:
    """The clients and informers of the machinery, as the cluster's administrator."""
    async with KubeLive.open(control_plane.kubeconfig) as made:
        yield made


@pytest_asyncio.fixture
async def connection(own_nats: NatsServer) -> AsyncIterator[Connection]:
    """A connection to a NATS server of the test's own, which is soon there again after a loss."""
    async with in_one_task(ConnectionPool(timing=Timing(backoff_first=0.05, backoff_limit=0.2))) as pool:
        connection = pool.acquire(ConnectionSpec((own_nats.url,))).connection
        await eventually(lambda: connection.state.connected)
        yield connection
