"""Services over the operator's absence, beside what others left, and while the lattice cannot be asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from support.operators.in_process import USER_AGENT, RunningOperator
from support.sites.services import ServiceSite, http_components, http_link, reported_endpoints
from testbed import Admin, ControlPlane, Kwok, NatsServer, Server, Wadm, eventually
from testbed.admin import condition

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWN = "k8s.wasmcloud.dev"
ROUTE = "gateway.networking.k8s.io/v1/HTTPRoute"
INGRESS = "networking.k8s.io/v1/Ingress"


@pytest_asyncio.fixture(loop_scope="module")
async def site(crds: ControlPlane, nats_server: NatsServer, kwok: Kwok, wadm: Server) -> AsyncIterator[ServiceSite]:
    async with crds.admin() as admin, ServiceSite.open(admin, nats_server, replicas=0) as opened:
        yield opened


async def test_a_restart_writes_nothing_and_finds_what_went_meanwhile(site: ServiceSite, crds: ControlPlane) -> None:
    audit = crds.audit
    assert audit is not None
    async with AsyncExitStack() as hosts:
        async with RunningOperator.start(crds, watch_namespaces=site.namespace):
            await site.scale(3)
            one, two, three = await site.pods()
            _, second, third = [await hosts.enter_async_context(site.host_on(pod)) for pod in (one, two, three)]
            await site.create("shop", http_components(8090, scaler="daemonscaler"))
            await site.wash_run("hello", http_components(8080, scaler="daemonscaler"))
            await site.endpoints("hello", lambda found: found == {one, two, three})
            await site.app("shop", lambda app: reported_endpoints(app) == [3])
            await site.app("shop", lambda app: app["status"].get("phase") == "Deployed")

        with audit.counting(user_agent=USER_AGENT) as counter:
            async with RunningOperator.start(crds, watch_namespaces=site.namespace) as operator:
                await eventually(lambda: _reconciled(operator, "podlabels", 6), message="pods looked at")
                assert await site.ready_endpoints("hello") == {one, two, three}
        assert [event for event in counter.writes if event.resource in _SERVICE_WRITES] == []

        # While the operator is down: a provider stops, and a pod goes with its host.
        await site.wadm("undeploy.hello", {})
        await site.wash_run("hello", http_components(8080, requirements={"kubernetes_pod_name": one}), version="v2")
        await eventually(lambda: "hello-httpserver" not in second.providers, message="wadm moved the provider away")
        await site.admin.delete("v1/Pod", three, site.namespace, grace=0)
        await third.crash()
        await site.endpoints("hello", lambda found: found == {one, two})
        async with RunningOperator.start(crds, watch_namespaces=site.namespace):
            await site.endpoints("hello", lambda found: found == {one})


async def test_while_the_lattice_is_away_what_is_stays_and_dead_pods_leave(
    admin: Admin, crds: ControlPlane, kwok: Kwok, tmp_path: Path
) -> None:
    async with (
        NatsServer.start(tmp_path) as nats,
        Wadm.start(tmp_path, nats.url),
        ServiceSite.open(admin, nats, replicas=0) as site,
        RunningOperator.start(crds, watch_namespaces=site.namespace) as operator,
    ):
        await site.scale(2)
        one, two = await site.pods()
        async with site.host_on(one) as first, site.host_on(two) as second:
            # wadm itself runs nothing: just started, it may have missed that the hosts came up.
            await site.wash_run("hello", http_components(8080, requirements={"zone": "nowhere"}))
            for host in (first, second):
                await host.start_provider("hello-httpserver", application="hello")
            await site.endpoints("hello", lambda found: found == {one, two})
            before = await site.service("hello", lambda found: found is not None)
            await nats.server.stop()
            await site.condition_of_pool("LatticeConnected", "False")
            await first.crash()
            await second.crash()
            await admin.delete("v1/Pod", two, site.namespace, grace=0)
            await site.endpoints("hello", lambda found: found == {one})
            assert await site.service("hello", lambda found: found is not None) == before
            assert await operator.ready()


async def test_hosts_that_fall_silent_serve_on_until_kubernetes_says_otherwise(
    admin: Admin, crds: ControlPlane, kwok: Kwok, tmp_path: Path
) -> None:
    async with (
        NatsServer.start(tmp_path) as nats,
        Wadm.start(tmp_path, nats.url),
        ServiceSite.open(admin, nats, replicas=0) as site,
        RunningOperator.start(crds, watch_namespaces=site.namespace),
    ):
        await site.scale(3)
        one, two, three = await site.pods()
        async with site.host_on(one) as first, site.host_on(two) as second, site.host_on(three) as third:
            await site.wash_run("hello", http_components(8080, scaler="daemonscaler"))
            await site.endpoints("hello", lambda found: found == {one, two, three})
            # As behind a leaf node that is cut off: connected anew, the operator asks for them, and nobody answers.
            await first.crash()
            await second.crash()
            await nats.restart()
            await eventually(lambda: _hosts(site, 1), message="two hosts are given up")
            await third.stop()
            await site.endpoints("hello", lambda found: found == {one, two})
            await site.not_ready(two)
            await site.serving("hello", lambda found: found == {one})


async def _hosts(site: ServiceSite, count: int) -> bool:
    found = await site.admin.get("k8s.wasmcloud.dev/v1alpha1/WasmCloudHostConfig", "pool", site.namespace)
    return found["status"].get("hostCount") == count


async def test_a_pod_replaced_under_the_same_name_does_not_inherit_the_hosts_word(
    site: ServiceSite, crds: ControlPlane
) -> None:
    async with RunningOperator.start(crds, watch_namespaces=site.namespace):
        for pod in ("same-name", "other-name", "late-name"):
            await site.pod(pod)
        async with site.host_on("same-name"), site.host_on("other-name"):
            await site.wash_run("hello", http_components(8080, scaler="daemonscaler"))
            await site.endpoints("hello", lambda found: found == {"same-name", "other-name"})
            await site.admin.delete("v1/Pod", "same-name", site.namespace, grace=0)
            await site.pod("same-name")
            async with site.host_on("late-name"):
                # What the late host says comes after the old one's word: that one was heard, too.
                await site.endpoints("hello", lambda found: found == {"other-name", "late-name"})
                async with site.host_on("same-name"):
                    await site.endpoints("hello", lambda found: found == {"same-name", "other-name", "late-name"})


async def test_routes_where_they_are_asked_for_and_the_cluster_has_them(site: ServiceSite, crds: ControlPlane) -> None:
    links = [http_link({"host": "a.example.com"})]
    components = http_components(links=links)
    components[1]["properties"]["config"] = [
        {"name": "listen", "properties": {"routing_mode": "host", "address": "0.0.0.0:8080"}}
    ]
    asked = {f"{OWN}/gateway": "infra/main", f"{OWN}/ingress-class": "nginx"}
    async with RunningOperator.start(crds, watch_namespaces=site.namespace):
        await site.create("hello", components, asked)
        await site.admin.wait_for(INGRESS, "hello", site.namespace, lambda found: found is not None)
        app = await site.app("hello", lambda app: "Gateway API" in (condition(app, "Exposed") or {}).get("message", ""))
        assert app["status"]["services"]
    await site.admin.apply_files(Path(__file__).parent / "data" / "httproute-crd.yaml")
    await eventually(lambda: _served(site.admin), message="HTTPRoutes are served")
    try:
        async with RunningOperator.start(crds, watch_namespaces=site.namespace):
            route = await site.admin.wait_for(ROUTE, "hello", site.namespace, lambda found: found is not None)
            assert route is not None
            assert route["spec"]["hostnames"] == ["a.example.com"]
            assert route["spec"]["rules"][0]["backendRefs"][0] == {"name": "hello", "port": 8080}
            await site.patch("hello", {"metadata": {"annotations": dict.fromkeys(asked)}})
            await site.admin.wait_for(ROUTE, "hello", site.namespace, lambda found: found is None)
            await site.admin.wait_for(INGRESS, "hello", site.namespace, lambda found: found is None)
    finally:
        await site.admin.delete("apiextensions.k8s.io/v1/CustomResourceDefinition", _HTTP_ROUTES)


_HTTP_ROUTES = "httproutes.gateway.networking.k8s.io"
_SERVICE_WRITES = frozenset({"services", "pods", "applications.core.oam.dev/status"})


async def _served(admin: Admin) -> bool:
    return await admin.list(ROUTE) == []


async def _reconciled(operator: RunningOperator, controller: str, count: int) -> bool:
    text = await operator.metrics()
    prefix = f'controller_runtime_reconcile_total{{controller="{controller}",result="success"}} '
    return any(line.startswith(prefix) and float(line.removeprefix(prefix)) >= count for line in text.splitlines())
