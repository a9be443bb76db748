"""Services of applications with a real wadm, NATS and control plane; test hosts on simulated pods."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from operatorfixture import RunningOperator
from servicesite import ServiceSite, http_components
from testbed import Admin, ControlPlane, Kwok, NatsServer, Server

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def running(crds: ControlPlane, kwok: Kwok, wadm: Server) -> AsyncIterator[RunningOperator]:
    async with RunningOperator.start(crds) as started:
        yield started


async def test_a_service_leads_to_exactly_the_pods_that_serve(admin: Admin, nats_server: NatsServer) -> None:
    async with ServiceSite.open(admin, nats_server, replicas=2) as site:
        pods = await site.pods()
        async with site.host_on(pods[0]), site.host_on(pods[1]):
            await site.wash_run("hello", http_components(8080))
            service = await site.service("hello", lambda found: found is not None)
            assert service["spec"]["ports"][0]["port"] == 8080
            assert service["spec"]["selector"] == {"serves.k8s.wasmcloud.dev/hello": "true"}
            serving = await site.serving("hello", lambda found: len(found) == 1)
            assert serving <= set(pods)
            await site.endpoints("hello", lambda found: found == serving)
            await site.hosts[serving.copy().pop()].stop_provider(next(iter(site.hosts[serving.copy().pop()].providers)))
