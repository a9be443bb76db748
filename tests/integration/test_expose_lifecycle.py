"""Services of applications with a real wadm, NATS and control plane; test hosts on simulated pods."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest
import pytest_asyncio

from support.kube.live import setting_back
from support.lattice.host import Lattice
from support.lattice.jwt import Account
from support.operators.in_process import RunningOperator
from support.sites.services import APP, CONFIG, ServiceSite, http_components, http_link, told_endpoints, web
from testbed import Admin, ControlPlane, Kwok, NatsServer, Server, eventually
from testbed.admin import condition, is_true
from wasmcloud_operator.expose.naming import service_name

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWN = "k8s.wasmcloud.dev"


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def running(crds: ControlPlane, kwok: Kwok, wadm: Server) -> AsyncIterator[RunningOperator]:
    async with RunningOperator.start(crds) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def site(crds: ControlPlane, nats_server: NatsServer) -> AsyncIterator[ServiceSite]:
    async with crds.admin() as admin, ServiceSite.open(admin, nats_server, replicas=2) as opened:
        yield opened


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


async def test_the_endpoints_are_what_the_hosts_say_and_not_what_they_were_told(site: ServiceSite) -> None:
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


async def test_an_application_owns_its_service_and_tells_of_it(site: ServiceSite) -> None:
    one, _ = await site.pods()
    async with site.host_on(one):
        annotations = {
            f"{OWN}/service-name": "web",
            f"{OWN}/service-type": "NodePort",
            f"{OWN}/service-annotations": '{"example.com/a": "b"}',
        }
        await site.create("shop", http_components(8080), annotations)
        service = await site.service("web", lambda found: found is not None)
        [owner] = service["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["controller"]) == ("Application", "shop", True)
        assert service["spec"]["type"] == "NodePort"
        assert service["metadata"]["annotations"]["example.com/a"] == "b"
        app = await site.app(
            "shop", lambda app: is_true(app, "Exposed") and is_true(app, "Ready") and told_endpoints(app) == [1]
        )
        assert app["status"]["services"] == [
            {
                "name": "web",
                "namespace": site.namespace,
                "urls": [f"http://web.{site.namespace}.svc:8080"],
                "readyEndpoints": 1,
            }
        ]
        managers = {entry["manager"] for entry in app["metadata"]["managedFields"]}
        assert "wasmcloud-operator-services" in managers

        # In place: the address stays.
        await site.patch("shop", {"spec": {"components": http_components(9095)}})
        changed = await site.service("web", lambda found: found["spec"]["ports"][0]["port"] == 9095)
        assert changed["spec"]["clusterIP"] == service["spec"]["clusterIP"]
        assert changed["metadata"]["uid"] == service["metadata"]["uid"]

        # Not wanted, wanted under its own name, and without the provider.
        await site.patch("shop", {"metadata": {"annotations": {f"{OWN}/service": "false"}}})
        await site.service("web", lambda found: found is None)
        app = await site.app("shop", lambda app: condition(app, "Exposed")["reason"] == "Disabled")
        assert not app["status"].get("services")
        plain = dict.fromkeys((*annotations, f"{OWN}/service"))
        await site.patch("shop", {"metadata": {"annotations": plain}})
        await site.service("shop", lambda found: found is not None and found["spec"]["type"] == "ClusterIP")
        await site.patch("shop", {"spec": {"components": [web()]}})
        await site.service("shop", lambda found: found is None)
        await site.app("shop", lambda app: condition(app, "Exposed") is None and not app["status"].get("services"))


async def test_a_service_that_is_led_astray_is_not_reported_as_ready(site: ServiceSite) -> None:
    one, _ = await site.pods()
    async with site.host_on(one):
        await site.create("shop", http_components(8080))
        await site.app("shop", lambda app: is_true(app, "Exposed") and told_endpoints(app) == [1])
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
            assert told_endpoints(app) == [0]

            async def reported() -> bool:
                found = await site.admin.list("events.k8s.io/v1/Event", site.namespace)
                return any(event["reason"] == "SetBack" and "other" in event["note"] for event in found)

            await eventually(reported)
        await site.app("shop", lambda app: is_true(app, "Exposed") and told_endpoints(app) == [1], timeout=120)


async def test_a_service_deleted_by_hand_comes_back_unless_its_application_is_paused(site: ServiceSite) -> None:
    await site.create("shop", http_components(8080))
    made = await site.service("shop", lambda found: found is not None)
    await site.admin.delete("v1/Service", "shop", site.namespace)
    uid = made["metadata"]["uid"]
    await site.service("shop", lambda found: found is not None and found["metadata"]["uid"] != uid)
    await site.patch("shop", {"metadata": {"annotations": {f"{OWN}/paused": "true"}}})
    await site.app("shop", lambda app: is_true(app, "Paused"))
    await site.admin.delete("v1/Service", "shop", site.namespace)
    await site.create("marker", http_components(8090))
    await site.service("marker", lambda found: found is not None)
    assert await site.admin.find("v1/Service", "shop", site.namespace) is None
    await site.patch("shop", {"metadata": {"annotations": {f"{OWN}/paused": None}}})
    await site.service("shop", lambda found: found is not None)


async def test_two_lattices_of_a_namespace_do_not_share_a_service(site: ServiceSite) -> None:
    other = replace(site, lattice=Lattice(f"{site.lattice.name}-other"))
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


async def test_undeploying_takes_the_service_away_and_an_event_alone_does_not(site: ServiceSite) -> None:
    one, _ = await site.pods()
    async with site.host_on(one):
        await site.wash_run("hello", http_components(8080))
        await site.endpoints("hello", lambda found: found == {one})
        service = await site.service("hello", lambda found: found is not None)
        await site.publish_unpublished("hello")
        await site.wash_run("marker", http_components(8090))
        await site.service("marker", lambda found: found is not None)
        kept = await site.service("hello", lambda found: found is not None)
        assert kept["metadata"]["resourceVersion"] == service["metadata"]["resourceVersion"]
        await site.wadm("undeploy.hello", {})
        await site.service("hello", lambda found: found is None)
        await site.serving("hello", lambda found: not found)
        await site.wadm("del.marker", {})
        await site.service("marker", lambda found: found is None)


async def test_a_made_up_application_goes_when_wadm_lists(site: ServiceSite) -> None:
    await site.publish_published("ghost", http_components(8080))
    await site.service("ghost", lambda found: found is not None)
    await site.service("ghost", lambda found: found is None)


async def test_a_strangers_service_is_left_alone_and_said_to_be_in_the_way(site: ServiceSite) -> None:
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
    told = await eventually(warned)
    assert "application shop, which came over NATS" in told
    assert f"Service {site.namespace}/shop" in told
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


async def test_two_pools_whose_addresses_overlap_serve_one_application(site: ServiceSite) -> None:
    elsewhere = site.server.url.replace("127.0.0.1", "localhost")
    await site.add_pool("more", natsAddress=f"{site.server.url},{elsewhere}")
    (one, _), (more,) = await site.pods(), await site.pods("more")
    async with site.host_on(one), site.host_on(more):
        await site.create("shop", http_components(8080, instances=2, scaler="daemonscaler"))
        assert await site.serving("shop", lambda found: found == {one, more}) == {one, more}
        await site.endpoints("shop", lambda found: found == {one, more})
        app = await site.app("shop", lambda app: is_true(app, "Exposed") and told_endpoints(app) == [2])
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
        await site.app("shop", lambda app: is_true(app, "Exposed") and told_endpoints(app) == [2])
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
        await site.app("shop", lambda app: is_true(app, "Exposed") and told_endpoints(app) == [1])
        service = await site.service("shop", lambda found: found is not None)
        await site.add_pool("guarded", 0, secretName="hub")
        await site.admin.wait_for(CONFIG, "guarded", site.namespace, lambda pool: is_true(pool, "WadmConnected"))
        await site.patch("shop", {"spec": {"components": http_components(8082, scaler="daemonscaler")}})
        await site.service("shop", lambda found: found["spec"]["ports"][0]["port"] == 8082)
        await site.wash_run("marker", http_components(8090))
        await site.service("marker", lambda found: found is not None)
        await site.app("shop", lambda app: is_true(app, "Exposed") and told_endpoints(app) == [1])
        after = await site.service("shop", lambda found: found is not None)
        assert after["metadata"]["uid"] == service["metadata"]["uid"]


async def test_a_service_lives_as_long_as_an_application_wants_it(site: ServiceSite) -> None:
    def exposed(status: str, reason: str) -> Callable[[Any], bool]:
        def holds(app: Any) -> bool:
            found = condition(app, "Exposed") or {}
            return (found.get("status"), found.get("reason")) == (status, reason)

        return holds

    one, two = await site.pods()
    async with site.host_on(one), site.host_on(two):
        await site.create("shop", http_components(8080, scaler="daemonscaler"))
        await site.app("shop", exposed("True", "Exposed"))
        await site.endpoints("shop", lambda found: found == {one, two})
        made = await site.service("shop", lambda found: found is not None)

        # A typo, mended; the port that was known last stays.
        await site.patch(
            "shop", {"spec": {"components": http_components(links=[http_link({"address": "0.0.0.0:80800"})])}}
        )
        app = await site.app("shop", exposed("False", "InvalidSettings"))
        assert "80800" in condition(app, "Exposed")["message"]
        kept = await site.service("shop", lambda found: found is not None)
        assert (kept["metadata"]["uid"], kept["spec"]) == (made["metadata"]["uid"], made["spec"])
        await site.patch("shop", {"spec": {"components": http_components(9095, scaler="daemonscaler")}})
        await site.app("shop", exposed("True", "Exposed"))
        changed = await site.service("shop", lambda found: found["spec"]["ports"][0]["port"] == 9095)
        assert changed["metadata"]["uid"] == made["metadata"]["uid"]
        await site.endpoints("shop", lambda found: found == {one, two})

        # Undeployed for a while.
        await site.patch("shop", {"metadata": {"annotations": {f"{OWN}/undeploy": "true"}}})
        app = await site.app("shop", exposed("False", "NotDeployed"))
        assert [service["urls"] for service in app["status"]["services"]] == [
            [f"http://shop.{site.namespace}.svc:9095"]
        ]
        await site.serving("shop", lambda found: not found)
        await site.patch("shop", {"metadata": {"annotations": {f"{OWN}/undeploy": None}}})
        await site.endpoints("shop", lambda found: found == {one, two})

        # The only host config, replaced.
        await site.admin.delete_all(CONFIG, site.namespace)
        await site.app("shop", exposed("False", "NotDeployed"))
        await eventually(lambda: _has_no_pods(site), message="the pods of the former host config are gone")
        await site.add_pool("pool", 2)
        three, four = await site.pods()
        async with site.host_on(three), site.host_on(four):
            await site.endpoints("shop", lambda found: found == {three, four})
            await site.app("shop", exposed("True", "Exposed"))
        last = await site.service("shop", lambda found: found is not None)
        assert last["metadata"]["uid"] == made["metadata"]["uid"]
        assert last["spec"]["clusterIP"] == made["spec"]["clusterIP"]

    # Until it wants none.
    await site.patch("shop", {"spec": {"components": [web()]}})
    await site.service("shop", lambda found: found is None)


async def test_an_application_that_goes_gets_no_service_back_and_one_that_wants_none_gets_none(
    site: ServiceSite,
) -> None:
    one, _ = await site.pods()
    async with site.host_on(one), Watched(site) as watched:
        await site.create("hidden", http_components(8081), {f"{OWN}/service": "false"})
        await site.create("shop", http_components(8080))
        await site.app("shop", lambda app: is_true(app, "Exposed"))
        await site.app("hidden", lambda app: (condition(app, "Exposed") or {}).get("reason") == "Disabled")
        for name in ("shop", "hidden"):
            await site.admin.delete(APP, name, site.namespace)
        for name in ("shop", "hidden"):
            await site.admin.wait_for(APP, name, site.namespace, lambda found: found is None)
        await site.service("shop", lambda found: found is None)
        # What comes after has been seen by the operator after all of that.
        await site.create("marker", http_components(8090))
        await site.app("marker", lambda app: is_true(app, "Exposed"))
        assert [name for name in watched.made if name != "pool"] == ["shop", "marker"]


async def test_an_application_that_is_left_in_wadm_leaves_its_service_as_it_was(site: ServiceSite) -> None:
    one, _ = await site.pods()
    async with site.host_on(one):
        asked = {f"{OWN}/service-type": "NodePort", f"{OWN}/service-annotations": '{"example.com/a": "b"}'}
        await site.create("shop", http_components(8080), asked)
        await site.endpoints("shop", lambda found: found == {one})
        made = await site.service("shop", lambda found: found is not None)
        await site.patch("shop", {"metadata": {"annotations": {f"{OWN}/deletion-policy": "Orphan"}}})
        left = await site.service("shop", lambda found: _owners(found) == {"Application", "WasmCloudHostConfig"})
        await site.admin.delete(APP, "shop", site.namespace)
        await site.admin.wait_for(APP, "shop", site.namespace, lambda found: found is None)
        await site.create("marker", http_components(8090))
        await site.app("marker", lambda app: is_true(app, "Exposed"))
        kept = await site.service("shop", lambda found: found is not None)
        assert kept["metadata"]["uid"] == left["metadata"]["uid"] == made["metadata"]["uid"]
        assert kept["spec"] == made["spec"]
        assert kept["metadata"]["annotations"]["example.com/a"] == "b"
        await site.endpoints("shop", lambda found: found == {one})
        # Then it is wadm's alone.
        await site.wadm("undeploy.shop", {})
        await site.service("shop", lambda found: found is None)


async def test_an_orphan_goes_only_when_its_service_is_no_longer_its_own(site: ServiceSite) -> None:
    one, _ = await site.pods()
    async with site.host_on(one):
        await site.create("shop", http_components(8080), {f"{OWN}/service-type": "NodePort"})
        await site.endpoints("shop", lambda found: found == {one})
        made = await site.service("shop", lambda found: found is not None)
        # While it is paused nobody takes note of the annotation, so that everything comes at once afterwards.
        paused = {f"{OWN}/paused": "true", f"{OWN}/deletion-policy": "Orphan"}
        await site.patch("shop", {"metadata": {"annotations": paused}})
        await site.app("shop", lambda app: is_true(app, "Paused"))
        await site.admin.delete(APP, "shop", site.namespace)
        await site.app("shop", lambda app: "deletionTimestamp" in app["metadata"])
        held = await site.service("shop", lambda found: found is not None)
        assert _owners(held) == {"Application"}
        await site.patch("shop", {"metadata": {"annotations": {f"{OWN}/paused": None}}})
        await site.admin.wait_for(APP, "shop", site.namespace, lambda found: found is None)
        await site.create("marker", http_components(8090))
        await site.app("marker", lambda app: is_true(app, "Exposed"))
        kept = await site.service("shop", lambda found: found is not None)
        assert kept["metadata"]["uid"] == made["metadata"]["uid"]
        assert kept["spec"] == made["spec"]
        assert _owners(kept) == {"WasmCloudHostConfig"}
        await site.endpoints("shop", lambda found: found == {one})


async def test_only_in_its_own_namespace_an_application_reaches_beyond_the_cluster(
    admin: Admin, nats_server: NatsServer
) -> None:
    asked = {
        f"{OWN}/service-type": "NodePort",
        f"{OWN}/ingress-class": "nginx",
        f"{OWN}/host": "shop.example.com",
        f"{OWN}/service-annotations": '{"a/b": "c"}',
    }
    async with (
        ServiceSite.open(admin, nats_server) as here,
        ServiceSite.open(admin, nats_server, lattice=here.lattice.name) as there,
    ):
        links = [http_link({"address": "0.0.0.0:8080"})]
        await here.create("shop", http_components(links=links), asked)
        await here.service("shop", lambda found: found and found["spec"]["type"] == "NodePort")
        theirs = await there.service("shop", lambda found: found is not None)
        assert theirs["spec"]["type"] == "ClusterIP"
        assert "a/b" not in theirs["metadata"]["annotations"]
        await here.wash_run("plain", http_components(8081), annotations=asked)
        plain = await here.service("plain", lambda found: found is not None)
        assert plain["spec"]["type"] == "ClusterIP"
        await admin.wait_for("networking.k8s.io/v1/Ingress", "shop", here.namespace, lambda found: found is not None)
        ingresses = await admin.list("networking.k8s.io/v1/Ingress", there.namespace)
        assert [found["metadata"]["name"] for found in ingresses] == []
        # What `wash` deploys reaches as far as a host config says.
        await admin.patch(
            CONFIG, "pool", here.namespace, {"metadata": {"annotations": {f"{OWN}/exposure": "NodePort"}}}
        )
        await here.service("plain", lambda found: found["spec"]["type"] == "NodePort")


async def test_one_broken_host_config_keeps_only_its_own_services(site: ServiceSite) -> None:
    await site.wash_run("hello", http_components(8080))
    await site.service("hello", lambda found: found is not None)
    await site.admin.create(
        {
            "apiVersion": "k8s.wasmcloud.dev/v1alpha1",
            "kind": "WasmCloudHostConfig",
            "metadata": {"name": "broken", "namespace": site.namespace},
            "spec": {"lattice": "another", "version": "1.9.0", "secretName": "not-there"},
        }
    )
    await site.condition_of_pool("Stalled", "True", "broken")
    await site.wadm("undeploy.hello", {})
    await site.service("hello", lambda found: found is None)


async def _has_no_pods(site: ServiceSite) -> bool:
    return not await site.admin.list("v1/Pod", site.namespace)


def _owners(found: Any) -> set[str]:
    return {owner["kind"] for owner in found["metadata"]["ownerReferences"]}


class Watched:
    """The Services that are made in a namespace while the context is open, in order, each as often as it is made."""

    def __init__(self, site: ServiceSite) -> None:
        self._site = site
        self.made: list[str] = []

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _watch(self) -> None:
        async for what, item in self._site.admin.watch("v1/Service", self._site.namespace):
            if what == "ADDED":
                self.made.append(item["metadata"]["name"])


async def test_every_namespace_with_hosts_of_the_lattice_and_only_their_pods(
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


async def test_an_external_configuration_gives_the_port_and_a_port_of_two_is_said(site: ServiceSite) -> None:
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


async def test_a_service_is_not_given_up_for_one_that_the_cluster_refuses(site: ServiceSite) -> None:
    await site.create("shop", http_components(8080))
    made = await site.service("shop", lambda found: found is not None)
    await site.patch("shop", {"spec": {"components": http_components(links=[http_link({"address": "[fd00::1]:80"})])}})
    app = await site.app("shop", lambda app: (condition(app, "Exposed") or {}).get("reason") == "ServiceRefused")
    assert "not configured on this cluster" in condition(app, "Exposed")["message"]
    assert await site.service("shop", lambda found: found is not None) == made


async def test_a_port_of_two_is_said_of_both_as_long_as_it_lasts(site: ServiceSite) -> None:
    def reason(wanted: str) -> Callable[[Any], bool]:
        return lambda app: bool((condition(app, "Exposed") or {}).get("reason") == wanted)

    one, _ = await site.pods()
    async with site.host_on(one) as host:
        # wadm itself runs nothing, so that nothing but the rival's coming and going tells of either.
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


async def test_mistakes_are_told_and_make_no_service(site: ServiceSite) -> None:
    mistakes = (
        ("none", "0.0.0.0", "InvalidSettings"),
        ("zero", "0.0.0.0:0", "InvalidSettings"),
        ("beyond", "0.0.0.0:70000", "InvalidSettings"),
        ("loop", "127.0.0.1:80", "Loopback"),
        ("six", "[fd00::1]:80", "ServiceRefused"),  # this cluster has IPv4 only
    )
    for name, address, reason in mistakes:
        await site.create(name, http_components(links=[http_link({"address": address})]))
        app = await site.app(name, lambda app, reason=reason: (condition(app, "Exposed") or {}).get("reason") == reason)
        word = "ipFamilies" if reason == "ServiceRefused" else "spec.components[1]"
        assert word in condition(app, "Exposed")["message"]
        assert await site.admin.find("v1/Service", name, site.namespace) is None
