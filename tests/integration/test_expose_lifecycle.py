"""How long a Service lives: from the application's deployment until it is undeployed, deleted or left to wadm."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Self

import pytest

from support.sites.services import APP, CONFIG, ServiceSite, http_components, http_link, web
from testbed import eventually
from testbed.admin import condition, is_true

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("service_operator")]

OWN = "k8s.wasmcloud.dev"


@pytest.fixture
def site(service_site: ServiceSite) -> ServiceSite:
    return service_site


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
