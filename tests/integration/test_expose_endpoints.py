"""Which pods the Services of applications lead to: those whose hosts run the provider, in every pool of the lattice."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.lattice.jwt import Account
from support.sites.services import CONFIG, ServiceSite, http_components, http_link, reported_endpoints, web
from testbed import Admin, NatsServer
from testbed.admin import is_true
from wasmcloud_operator.expose.naming import service_name

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("service_operator")]

OWN = "k8s.wasmcloud.dev"


@pytest.fixture
def site(service_site: ServiceSite) -> ServiceSite:
    return service_site


async def test_a_service_leads_to_exactly_the_pods_that_serve(site: ServiceSite) -> None:
    one, two = await site.pods()
    async with site.host_on(one), site.host_on(two):
        await site.wash_run("hello", http_components(8080))
        service = await site.service("hello", lambda found: found is not None)
        assert service["spec"]["ports"][0]["port"] == 8080
        assert service["spec"]["selector"] == {"serves.k8s.wasmcloud.dev/hello": "true"}
        assert [owner["kind"] for owner in service["metadata"]["ownerReferences"]] == ["WasmCloudHostConfig"]
        [serving] = await site.serving("hello", lambda found: len(found) == 1)
        await site.endpoints("hello", lambda found: found == {serving})


async def test_the_endpoints_are_what_the_hosts_report_and_not_what_was_deployed(site: ServiceSite) -> None:
    one, two = await site.pods()
    async with site.host_on(one) as first, site.host_on(two) as second:
        # wadm itself runs nothing, and does not meddle with what is started and stopped here.
        await site.wash_run("hello", http_components(8080, requirements={"zone": "nowhere"}))
        await first.start_provider("hello-httpserver", application="hello")
        await site.endpoints("hello", lambda found: found == {one})
        await first.publish("provider_stopped", {"host_id": first.id, "provider_id": "another", "annotations": {}})
        await second.start_provider("hello-httpserver", application="hello")
        await site.endpoints("hello", lambda found: found == {one, two})
        await first.crash()
        await second.publish("host_stopped", {"labels": first.labels})
        await site.endpoints("hello", lambda found: found == {one})


async def test_label_requirements_of_a_daemonscaler_are_honoured_by_where_it_runs(site: ServiceSite) -> None:
    one, two = await site.pods()
    async with site.host_on(one, {"zone": "a"}), site.host_on(two, {"zone": "b"}):
        await site.wash_run(
            "My_zoned-app", http_components(8081, scaler="daemonscaler", requirements={"zone": "b"}, links=None)
        )
        await site.endpoints(service_name("My_zoned-app"), lambda found: found == {two})
        await site.wash_run("everywhere", http_components(8082, scaler="daemonscaler"))
        await site.endpoints("everywhere", lambda found: found == {one, two})
        await site.endpoints(service_name("My_zoned-app"), lambda found: found == {two})


async def test_a_shared_provider_serves_the_applications_that_link_from_it(site: ServiceSite) -> None:
    one, _ = await site.pods()
    async with site.host_on(one):
        shared = http_components(8000, scaler="daemonscaler", links=[])
        shared[1]["properties"]["config"] = [{"name": "gw", "properties": {"default_address": "0.0.0.0:9001"}}]
        await site.wash_run("gateway", shared, annotations={"experimental.wasmcloud.dev/shared": "true"})
        borrowed = {
            "name": "httpserver",
            "type": "capability",
            "properties": {"application": {"name": "gateway", "component": "httpserver"}},
            "traits": [http_link({"path": "/"})],
        }
        await site.create("guest", [web(), borrowed])
        service = await site.service("guest", lambda found: found is not None)
        assert [port["port"] for port in service["spec"]["ports"]] == [9001]
        await site.endpoints("guest", lambda found: found == {one})


async def test_two_pools_whose_addresses_overlap_serve_one_application(site: ServiceSite) -> None:
    elsewhere = site.server.url.replace("127.0.0.1", "localhost")
    await site.add_pool("more", natsAddress=f"{site.server.url},{elsewhere}")
    (one, _), (more,) = await site.pods(), await site.pods("more")
    async with site.host_on(one), site.host_on(more):
        await site.create("shop", http_components(8080, instances=2, scaler="daemonscaler"))
        assert await site.serving("shop", lambda found: found == {one, more}) == {one, more}
        await site.endpoints("shop", lambda found: found == {one, more})
        app = await site.app("shop", lambda app: is_true(app, "Exposed") and reported_endpoints(app) == [2])
        assert [service["name"] for service in app["status"]["services"]] == ["shop"]


async def test_pools_that_reach_a_lattice_by_different_credentials_have_one_service(site: ServiceSite) -> None:
    [mine, *_] = await site.pods()
    with_user = site.server.url.replace("://", "://user:password@")
    await site.add_pool("second", 1, natsAddress=with_user)
    [second] = await site.pods("second")
    async with site.host_on(mine), site.host_on(second):
        await site.wash_run("hello", http_components(8080, scaler="daemonscaler"))
        await site.create("shop", http_components(8081, scaler="daemonscaler"), {f"{OWN}/host-config": "second"})
        for name in ("hello", "shop"):
            await site.endpoints(name, lambda found: found == {mine, second})
        service = await site.service("hello", lambda found: len(found["metadata"]["ownerReferences"]) == 2)
        assert {owner["name"] for owner in service["metadata"]["ownerReferences"]} == {"pool", "second"}
        await site.app("shop", lambda app: is_true(app, "Exposed") and reported_endpoints(app) == [2])
        # Written once, and not in turns.
        await site.wash_run("marker", http_components(8090))
        await site.service("marker", lambda found: found is not None)
        kept = await site.service("hello", lambda found: found is not None)
        assert kept["metadata"]["resourceVersion"] == service["metadata"]["resourceVersion"]


async def test_a_pool_with_an_accounts_credentials_takes_nothing_from_the_others(site: ServiceSite) -> None:
    """To a server that asks for none the same lattice, to the operator one of another account."""
    [mine, *_] = await site.pods()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hub", "namespace": site.namespace}}
    await site.admin.create({**secret, "stringData": {"nats.creds": Account("A").credentials("u")}})
    async with site.host_on(mine):
        await site.create("shop", http_components(8081, scaler="daemonscaler"))
        await site.app("shop", lambda app: is_true(app, "Exposed") and reported_endpoints(app) == [1])
        service = await site.service("shop", lambda found: found is not None)
        await site.add_pool("guarded", 0, secretName="hub")
        await site.admin.wait_for(CONFIG, "guarded", site.namespace, lambda pool: is_true(pool, "WadmConnected"))
        await site.patch("shop", {"spec": {"components": http_components(8082, scaler="daemonscaler")}})
        await site.service("shop", lambda found: found["spec"]["ports"][0]["port"] == 8082)
        await site.wash_run("marker", http_components(8090))
        await site.service("marker", lambda found: found is not None)
        await site.app("shop", lambda app: is_true(app, "Exposed") and reported_endpoints(app) == [1])
        after = await site.service("shop", lambda found: found is not None)
        assert after["metadata"]["uid"] == service["metadata"]["uid"]


async def test_every_namespace_with_hosts_of_the_lattice_has_a_service_to_its_own_pods_alone(
    admin: Admin, nats_server: NatsServer, tmp_path: Path
) -> None:
    async with (
        ServiceSite.open(admin, nats_server) as here,
        ServiceSite.open(admin, nats_server, lattice=here.lattice.name) as there,
        NatsServer.start(tmp_path) as other_nats,
        ServiceSite.open(admin, other_nats, lattice=here.lattice.name) as elsewhere,
    ):
        [mine], [theirs], [strange] = await here.pods(), await there.pods(), await elsewhere.pods()
        async with here.host_on(mine), there.host_on(theirs), elsewhere.host_on(strange) as stranger:
            await here.create("hello", http_components(8080, scaler="daemonscaler"))
            await here.endpoints("hello", lambda found: found == {mine})
            await there.endpoints("hello", lambda found: found == {theirs})
            service = await there.service("hello", lambda found: found is not None)
            assert [owner["kind"] for owner in service["metadata"]["ownerReferences"]] == ["WasmCloudHostConfig"]
            await stranger.start_provider("hello-httpserver", application="hello")
            app = await here.app("hello", lambda app: len(app["status"].get("services") or ()) == 2)
            assert {service["namespace"] for service in app["status"]["services"]} == {here.namespace, there.namespace}
            assert await elsewhere.admin.find("v1/Service", "hello", elsewhere.namespace) is None
            assert await elsewhere.serving("hello", lambda found: True) == set()
