"""Coming from the operator written in Rust: its Services are taken over, and none is without an endpoint meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from support.operators.in_process import RunningOperator
from support.sites.services import SERVES, SLICE, ServiceSite, http_components
from testbed import ControlPlane, Kwok, NatsServer, Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

# The value of its label app.kubernetes.io/managed-by up to 0.5.0, and since.
GENERATIONS = ("wasmcloud-operator", "wadm-operator")


@pytest_asyncio.fixture(loop_scope="module")
async def site(crds: ControlPlane, nats_server: NatsServer, kwok: Kwok, wadm: Server) -> AsyncIterator[ServiceSite]:
    async with crds.admin() as admin, ServiceSite.open(admin, nats_server, replicas=0) as opened:
        yield opened


@contextlib.asynccontextmanager
async def never_without_endpoints(site: ServiceSite, service: str) -> AsyncIterator[asyncio.Event]:
    """Looks at the Service's endpoints again and again until the event is set; there is one each time."""
    over = asyncio.Event()

    async def look() -> None:
        while not over.is_set():
            found = await site.ready_addresses(service)
            assert found or over.is_set()

    async with asyncio.TaskGroup() as looking:
        looking.create_task(look())
        try:
            yield over
        finally:
            over.set()


@pytest.mark.parametrize("managed_by", GENERATIONS)
async def test_a_service_without_selector_keeps_its_endpoints_until_the_first_new_one_is_ready(
    site: ServiceSite, crds: ControlPlane, managed_by: str
) -> None:
    await site.wash_run("hello", http_components(8080))
    left = await site.left_by_the_rust_operator("hello", managed_by)
    async with never_without_endpoints(site, "hello") as seen:
        async with RunningOperator.start(crds, watch_namespaces=site.namespace):
            taken = await site.service("hello", lambda found: not found["metadata"].get("finalizers"))
            assert taken["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "wasmcloud-operator"
            assert not taken["spec"].get("selector")
        # What is awaited is known after a restart, too.
        async with RunningOperator.start(crds, watch_namespaces=site.namespace):
            await site.scale(1)
            (pod,) = await site.pods()
            assert await site.ready_addresses("hello") == {"10.9.9.9"}
            async with site.host_on(pod):
                taken = await site.service(
                    "hello", lambda found: found["spec"].get("selector") == {f"{SERVES}hello": "true"}
                )
                assert taken["metadata"]["uid"] == left["metadata"]["uid"]
                assert taken["spec"]["clusterIP"] == left["spec"]["clusterIP"]
                await site.admin.wait_for(SLICE, "hello", site.namespace, lambda found: found is None)
                assert await site.ready_endpoints("hello") == {pod}
                entries = (await site.service("hello", bool))["metadata"]["managedFields"]
                assert "operator.k8s.wasmcloud.dev/service" not in {entry["manager"] for entry in entries}
                seen.set()


@pytest.mark.parametrize("managed_by", GENERATIONS)
async def test_a_service_with_a_selector_keeps_it_until_the_first_new_pod_serves(
    site: ServiceSite, crds: ControlPlane, managed_by: str
) -> None:
    await site.wash_run("hello", http_components(8080))
    await site.pod("of-old")
    await site.left_by_the_rust_operator("hello", managed_by, {"app.kubernetes.io/name": "wasmcloud"})
    await site.endpoints("hello", lambda found: found == {"of-old"})
    async with (
        never_without_endpoints(site, "hello") as seen,
        RunningOperator.start(crds, watch_namespaces=site.namespace),
    ):
        await site.service("hello", lambda found: not found["metadata"].get("finalizers"))
        assert await site.ready_endpoints("hello") == {"of-old"}
        await site.pod("new")
        async with site.host_on("new"):
            await site.endpoints("hello", lambda found: found == {"new"})
            seen.set()


@pytest.mark.parametrize("managed_by", GENERATIONS)
async def test_a_service_that_no_application_wants_goes_with_its_endpoints(
    site: ServiceSite, crds: ControlPlane, managed_by: str
) -> None:
    await site.left_by_the_rust_operator("nobodys", managed_by)
    async with RunningOperator.start(crds, watch_namespaces=site.namespace):
        await site.service("nobodys", lambda found: found is None)
        await site.admin.wait_for(SLICE, "nobodys", site.namespace, lambda found: found is None)
        # The Service of a pool's leaf nodes is nobody's application either.
        await site.service("pool", lambda found: found is not None)
