"""While nothing of an Application may change, or too little is known, its Services and labels stay as they are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.sites.reconciled_services import HERE, SHOP, THERE, Site, spec
from wasmcloud_operator.expose import naming
from wasmcloud_operator.expose.leading import LeadingServices
from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.names import DELETION_POLICY, PAUSED

ASKED = {naming.SERVICE_TYPE: "LoadBalancer", naming.SERVICE_NAME: "front"}


def leading(site: Site) -> set[str]:
    """The Services whose labels the pods have that run what is deployed."""
    found = LeadingServices.now(site.queries, HERE, site.lattice)
    return {service.name for provider in site.queries.book(site.lattice).by_provider for service in found.to(provider)}


@pytest.mark.parametrize("runs", [True, False], ids=["deployed", "undeployed"])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"deleting": True}, id="it is deleted"),
        pytest.param({naming.SERVICE: "false"}, id="it wants no Service"),
        pytest.param({naming.SERVICE_NAME: "other"}, id="it wants another name"),
        pytest.param({naming.SERVICE_TYPE: "ClusterIP"}, id="it wants no load balancer"),
        pytest.param({"made": spec(http=False)}, id="it offers no HTTP any more"),
    ],
)
async def test_a_change_of_a_paused_application_changes_no_service(
    site: Site, change: dict[str, Any], runs: bool
) -> None:
    site.application(**ASKED)
    site.deployed(spec())
    before = await site.look()
    assert before.keys() == {"front"}
    site.application(**{**ASKED, PAUSED: "true", **change})
    site.deployed(spec() if runs else None)
    for _ in range(2):
        assert await site.look() == before
    assert leading(site) == ({"front"} if runs else set())


async def test_a_pause_holds_the_services_in_other_namespaces_as_well(site: Site) -> None:
    site.application()
    site.deployed(spec())
    there = Key(THERE, "shop")
    before = await site.look(there)
    site.application(deleting=True, **{PAUSED: "true"})
    site.deployed(None)
    assert await site.look(there) == before
    site.application(deleting=True)
    assert await site.look(there) == {}


@pytest.mark.parametrize("runs", [True, False], ids=["deployed", "undeployed"])
async def test_applications_that_are_not_listed_are_not_taken_for_gone(site: Site, runs: bool) -> None:
    """Their CRD is hidden or not served, as at a start while the API server is being upgraded."""
    site.application(**ASKED)
    site.deployed(spec())
    before = await site.look()
    site.deployed(spec() if runs else None)
    site.applications.follow(())
    for _ in range(2):
        assert await site.look() == before
    assert site.result.requeue_after is not None, "nobody tells that one went meanwhile"
    assert leading(site) == ({"front"} if runs else set())
    site.applications.follow(("",))
    assert await site.look() == before


async def test_an_application_of_a_namespace_that_is_not_followed_is_anybodys(site: Site) -> None:
    object.__setattr__(site.queries, "scope", (THERE,))
    site.applications.follow((THERE,))
    site.deployed(spec(), **{naming.SERVICE_NAME: "front"})
    assert (await site.look(Key(THERE, "shop"))).keys() == {"front"}


@pytest.mark.parametrize("asked", [{naming.SERVICE_TYPE: "LoadBalancer"}, {naming.INGRESS_CLASS: "nginx"}])
async def test_a_host_config_whose_connection_is_not_known_yet_may_allow_what_is_there(
    site: Site, asked: dict[str, str]
) -> None:
    allowing = Key(HERE, "allowing")
    site.config(*allowing, **{naming.EXPOSURE: "LoadBalancer, Ingress"})
    site.pools.add(allowing, site.lattice)
    site.deployed(spec(), owned=False, **asked)
    before = await site.look()
    del site.pools.held[allowing]  # as after a start, until its Secret is read
    after = await site.look()
    assert after["shop"]["spec"] == before["shop"]["spec"]
    [planned] = site.queries.plan(HERE, site.lattice, site.queries.book(site.lattice).records["shop"]).services
    assert planned.options.keeps_ingress
    site.api.remove(HOST_CONFIG, allowing)
    assert (await site.look())["shop"]["spec"]["type"] == "ClusterIP"


async def test_a_host_config_that_cannot_be_read_keeps_the_services_of_its_lattice(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.deployed(spec(), owned=False)
    before = await site.look()
    site.pools.held.clear()
    site.api.remove(HOST_CONFIG, Key(HERE, "pool"))
    await site.bench.clock.advance(1)
    monkeypatch.setattr(site.configs.store, "unreadable", {Key(HERE, "pool"): "7"})
    assert await site.look() == before
    monkeypatch.setattr(site.configs.store, "unreadable", {})
    assert await site.look() == {}


@pytest.mark.parametrize("connected", [True, False], ids=["host configs lead there", "none does any more"])
async def test_an_orphan_leaves_its_service_also_while_nothing_is_known_of_its_lattice(
    site: Site, connected: bool
) -> None:
    """As after a start while NATS is away: the garbage collector takes what is the Application's alone."""
    site.application(**ASKED)
    site.deployed(spec())
    before = (await site.look())["front"]
    book = site.queries.book(site.lattice)
    book.put("shop", None)
    book.absent.clear()
    site.lattice.ledger.listed = None
    if not connected:
        site.pools.held.clear()
    site.application(deleting=True, **ASKED, **{DELETION_POLICY: "Orphan"})
    left = (await site.look())["front"]
    assert left["spec"] == before["spec"]
    assert [owner["kind"] for owner in left["metadata"]["ownerReferences"]] == ["WasmCloudHostConfig"] * connected
    assert json.loads(left["metadata"]["annotations"][naming.ORPHANED]) == ASKED
    site.api.remove(APPLICATION, SHOP)
    for _ in range(2):
        assert (await site.look())["front"] == left
    if connected:
        site.lattice.ledger.listed = ()
        site.deployed(spec())
        assert (await site.look())["front"]["spec"] == before["spec"]
