"""What is in the way of an application's Service: names, ports and routes of others, and whoever changes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from support.kube.live import setting_back
from support.sites.services import CONFIG, ServiceSite, http_components, http_link, reported_endpoints
from testbed import eventually
from testbed.admin import condition, is_true
from wasmcloud_operator.lattice.testing import SharedLattice

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("service_operator")]

OWN = "k8s.wasmcloud.dev"


@pytest.fixture
def site(service_site: ServiceSite) -> ServiceSite:
    return service_site


async def test_a_service_that_is_led_astray_is_not_reported_as_ready(site: ServiceSite) -> None:
    one, _ = await site.pods()
    async with site.host_on(one):
        await site.create("shop", http_components(8080))
        await site.app("shop", lambda app: is_true(app, "Exposed") and reported_endpoints(app) == [1])
        theirs = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "shop", "namespace": site.namespace}}
        selector = {"serves.k8s.wasmcloud.dev/shop": "true", "foreign": "x"}
        # Once: the foreign key is taken out, since no pod has it.
        await site.admin.apply({**theirs, "spec": {"selector": selector}}, manager="other")
        await site.service("shop", lambda found: "foreign" not in found["spec"]["selector"])
        await site.endpoints("shop", lambda found: found == {one})
        async with setting_back(lambda: site.admin.apply({**theirs, "spec": {"selector": selector}}, manager="other")):
            app = await site.app("shop", lambda app: (condition(app, "Exposed") or {}).get("reason") == "SetBack")
            exposed = condition(app, "Exposed")
            assert exposed is not None
            assert exposed["status"] == "False"
            assert ".spec.selector.foreign is set back by field manager other" in exposed["message"]
            assert reported_endpoints(app) == [0]

            async def reported() -> bool:
                found = await site.admin.list("events.k8s.io/v1/Event", site.namespace)
                return any(event["reason"] == "SetBack" and "other" in event["note"] for event in found)

            await eventually(reported)
        await site.app("shop", lambda app: is_true(app, "Exposed") and reported_endpoints(app) == [1], timeout=120)


async def test_two_lattices_of_a_namespace_do_not_share_a_service(site: ServiceSite) -> None:
    other = replace(site, lattice=SharedLattice(f"{site.lattice.name}-other"))
    await site.add_pool("other", 1, lattice=other.lattice.name)
    [mine, _], [theirs] = await site.pods(), await site.pods("other")
    async with site.host_on(mine), other.host_on(theirs) as host:
        await site.wash_run("hello", http_components(8080, scaler="daemonscaler"))
        await site.endpoints("hello", lambda found: found == {mine})
        service = await site.service("hello", lambda found: found is not None)
        await other.wash_run("hello", http_components(9095, scaler="daemonscaler"))
        await other.wash_run("marker", http_components(8090, scaler="daemonscaler"))
        await site.endpoints("marker", lambda found: found == {theirs})
        await eventually(lambda: "hello-httpserver" in host.providers, message="the other one runs as well")
        assert await site.ready_endpoints("hello") == {mine}
        assert await site.service("hello", lambda found: found is not None) == service
        # When the first one is gone, its Service becomes the other's.
        await site.wadm("undeploy.hello", {})
        taken = await site.service("hello", lambda found: found and found["spec"]["ports"][0]["port"] == 9095)
        assert taken["metadata"]["uid"] == service["metadata"]["uid"]
        await site.endpoints("hello", lambda found: found == {theirs})


async def test_a_strangers_service_is_left_alone_and_reported_to_be_in_the_way(site: ServiceSite) -> None:
    theirs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "shop", "namespace": site.namespace},
        "spec": {"selector": {"app": "theirs"}, "ports": [{"port": 80}]},
    }
    before = await site.admin.create(theirs)
    await site.create("shop", http_components(8080))
    await site.create("pool", http_components(8081))
    app = await site.app("shop", lambda app: (condition(app, "Exposed") or {}).get("reason") == "Conflict")
    assert "shop" in condition(app, "Exposed")["message"]
    app = await site.app("pool", lambda app: (condition(app, "Exposed") or {}).get("reason") == "Conflict")
    assert "WasmCloudHostConfig pool" in condition(app, "Exposed")["message"]
    assert await site.service("shop", lambda found: found is not None) == before
    leaf = await site.service("pool", lambda found: found is not None)
    assert leaf["metadata"]["labels"]["app.kubernetes.io/component"] == "leaf"
    await site.patch("shop", {"metadata": {"annotations": {f"{OWN}/service-name": "shop-http"}}})
    await site.service("shop-http", lambda found: found is not None)


async def test_a_host_config_shows_why_an_application_from_wash_has_no_service(site: ServiceSite) -> None:
    async def warned() -> str:
        config = await site.admin.get(CONFIG, "pool", site.namespace)
        return (condition(config, "Warnings") or {}).get("message", "")

    metadata = {"name": "shop", "namespace": site.namespace}
    theirs = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}]}}
    await site.admin.create(theirs)
    await site.wash_run("shop", http_components(8080))
    warning = await eventually(warned)
    assert "application shop, which came over NATS" in warning
    assert f"Service {site.namespace}/shop" in warning
    await site.admin.delete("v1/Service", "shop", site.namespace)
    await site.service("shop", lambda found: found is not None)

    async def nothing_left() -> bool:
        return await warned() == ""

    await eventually(nothing_left)


async def test_a_strangers_route_is_left_alone_and_the_service_leads_on(site: ServiceSite) -> None:
    one, _ = await site.pods()
    backend = {"service": {"name": "theirs", "port": {"number": 80}}}
    theirs = await site.admin.create(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": "shop", "namespace": site.namespace},
            "spec": {"defaultBackend": backend},
        }
    )
    async with site.host_on(one):
        await site.create("shop", http_components(8080), {f"{OWN}/ingress-class": "nginx", f"{OWN}/host": "*"})
        app = await site.app("shop", lambda app: (condition(app, "Exposed") or {}).get("reason") == "RouteConflict")
        assert "Ingress" in condition(app, "Exposed")["message"]
        assert is_true(app, "Exposed")
        assert [service["name"] for service in app["status"]["services"]] == ["shop"]
        assert await site.admin.get("networking.k8s.io/v1/Ingress", "shop", site.namespace) == theirs


async def test_the_port_comes_from_an_external_configuration_and_two_on_one_port_are_reported(
    site: ServiceSite,
) -> None:
    one, _ = await site.pods()
    external = {
        "type": "link",
        "properties": {**http_link({})["properties"], "source": {"config": [{"name": "listen"}]}},
    }
    async with site.host_on(one):
        site.lattice.configs["listen"] = {"address": "[::]:8088"}
        await site.create("hello", http_components(links=[external]))
        service = await site.service("hello", lambda found: found is not None)
        assert service["spec"]["ports"][0]["port"] == 8088
        assert service["spec"]["ipFamilyPolicy"] == "PreferDualStack"
        await site.put_config("listen", {"address": "0.0.0.0:8089"})
        await site.service("hello", lambda found: found["spec"]["ports"][0]["port"] == 8089)
        await site.create("rival", http_components(8089))
        for name in ("hello", "rival"):
            app = await site.app(name, lambda app: (condition(app, "Exposed") or {}).get("reason") == "PortConflict")
            assert "8089" in condition(app, "Exposed")["message"]


async def test_two_on_one_port_are_both_reported_as_long_as_it_lasts(site: ServiceSite) -> None:
    def reason(wanted: str) -> Callable[[Any], bool]:
        return lambda app: bool((condition(app, "Exposed") or {}).get("reason") == wanted)

    one, _ = await site.pods()
    async with site.host_on(one) as host:
        # wadm itself runs nothing, so that only the coming and going of the rival changes either.
        nowhere = {"zone": "nowhere"}
        for name in ("hello", "rival"):
            await site.create(name, http_components(8080, requirements=nowhere))
        await host.start_provider("hello-httpserver", application="hello")
        await site.app("hello", reason("Exposed"))
        await host.start_provider("rival-httpserver", application="rival")
        for name in ("hello", "rival"):
            await site.app(name, reason("PortConflict"))
        await host.stop_provider("rival-httpserver")
        await site.app("hello", reason("Exposed"))
        await host.start_provider("rival-httpserver", application="rival")
        await site.app("hello", reason("PortConflict"))
        await site.patch("rival", {"spec": {"components": http_components(8090, requirements=nowhere)}})
        for name in ("hello", "rival"):
            await site.app(name, reason("Exposed"))
