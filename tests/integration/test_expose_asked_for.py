"""What an application asks of its Service: by annotations, by links; what it cannot have; what mistakes lead to."""

from __future__ import annotations

import pytest

from support.sites.services import CONFIG, ServiceSite, http_components, http_link, reported_endpoints, web
from testbed import Admin, NatsServer
from testbed.admin import condition, is_true

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("service_operator")]

OWN = "k8s.wasmcloud.dev"


@pytest.fixture
def site(service_site: ServiceSite) -> ServiceSite:
    return service_site


async def test_an_application_owns_its_service_and_reports_it(site: ServiceSite) -> None:
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
            "shop", lambda app: is_true(app, "Exposed") and is_true(app, "Ready") and reported_endpoints(app) == [1]
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


async def test_a_service_is_not_given_up_for_one_that_the_cluster_refuses(site: ServiceSite) -> None:
    await site.create("shop", http_components(8080))
    made = await site.service("shop", lambda found: found is not None)
    await site.patch("shop", {"spec": {"components": http_components(links=[http_link({"address": "[fd00::1]:80"})])}})
    app = await site.app("shop", lambda app: (condition(app, "Exposed") or {}).get("reason") == "ServiceRefused")
    assert "not configured on this cluster" in condition(app, "Exposed")["message"]
    assert await site.service("shop", lambda found: found is not None) == made


async def test_mistakes_are_reported_and_make_no_service(site: ServiceSite) -> None:
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
