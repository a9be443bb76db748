"""What a look at an application's Services comes to, against a scripted API server: made, kept, left alone, removed."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from support.objects.good_manifest import link as http_link
from support.sites.reconciled_services import HERE, SHOP, THERE, Lattice, Site, owners, spec
from wasmcloud_operator.expose import naming
from wasmcloud_operator.expose.annotations import read_options
from wasmcloud_operator.expose.outcomes import State
from wasmcloud_operator.expose.plan import Record
from wasmcloud_operator.kinds import APPLICATION
from wasmcloud_operator.kube.controller import Result
from wasmcloud_operator.kube.resources import SERVICE, Key
from wasmcloud_operator.lattice.identity import LatticeRoute
from wasmcloud_operator.lattice.spec import ConnectionSpec
from wasmcloud_operator.manifest.http_endpoints import exposure
from wasmcloud_operator.names import DELETION_POLICY
from wasmcloud_operator.shared.pools import Pool


async def test_an_application_gets_a_service_that_it_owns_and_nothing_more_is_written(site: Site) -> None:
    site.application()
    site.deployed(spec())
    made = (await site.look())["shop"]
    assert owners(made) == {"Application"}
    assert made["spec"]["ports"][0]["port"] == 8080
    assert site.states() == [("shop", State.LEADS)]
    site.api.requests.clear()
    assert (await site.look())["shop"] == made
    assert [request.method for request in site.api.requests if request.method != "GET"] == []


@pytest.mark.parametrize(
    ("deployed", "state"),
    [
        pytest.param(None, State.KEPT, id="nothing runs"),
        pytest.param(spec("0.0.0.0:80800"), State.KEPT, id="its port cannot be read"),
        pytest.param(spec("0.0.0.0:4222"), State.KEPT, id="its port is the pod's own"),
        pytest.param(spec(http=False), State.KEPT, id="something else runs"),
    ],
)
async def test_a_wanted_service_stays_as_it_was(site: Site, deployed: dict[str, Any] | None, state: State) -> None:
    site.application()
    site.deployed(spec())
    made = await site.look()
    site.deployed(deployed)
    assert await site.look() == made
    assert site.states() == [("shop", state)]
    site.pools.held.clear()
    assert await site.look() == made, "nor does it matter that no host config is there"


@pytest.mark.parametrize(
    ("wanted", "annotations"),
    [
        pytest.param(spec(http=False), {}, id="it offers no HTTP"),
        pytest.param(spec(), {naming.SERVICE: "false"}, id="it wants none"),
        pytest.param(spec(), {naming.SERVICE_NAME: "other"}, id="it wants another name"),
    ],
)
async def test_a_service_that_is_no_longer_wanted_goes(
    site: Site, wanted: dict[str, Any], annotations: dict[str, str]
) -> None:
    site.application()
    site.deployed(spec())
    await site.look()
    site.application(wanted, **annotations)
    site.deployed(None)
    assert await site.look() == {}
    assert site.states() == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (naming.SERVICE_TYPE, "Loadbalancer"),
        (naming.SERVICE_NAME, "Front Door"),
        (naming.SERVICE_ANNOTATIONS, '{"example.com/internal": true}'),
    ],
)
async def test_a_mistake_in_an_annotation_leaves_a_service_as_it_was(site: Site, key: str, value: str) -> None:
    right = {
        naming.SERVICE_TYPE: "LoadBalancer",
        naming.SERVICE_NAME: "front",
        naming.SERVICE_ANNOTATIONS: '{"example.com/internal": "true"}',
    }
    site.application(**right)
    site.deployed(spec())
    before = await site.look()
    site.application(**right | {key: value})
    for _ in range(2):  # what is no longer wanted goes with the next look
        now = await site.look()
    assert now.keys() == before.keys() == {"front"}
    assert now["front"]["spec"] == before["front"]["spec"]
    assert now["front"]["metadata"]["annotations"].items() >= {"example.com/internal": "true"}.items()
    assert site.states() == [("front", State.LEADS)]
    site.application(**right)
    assert await site.look() == before


@pytest.mark.parametrize(
    ("second", "ports"),
    [
        pytest.param({"properties": {"address": "0.0.0.0:70700"}}, [8080, 7070], id="a mistake"),
        pytest.param({}, [8080, 7070], id="no host answers"),
        pytest.param({"properties": {"address": "0.0.0.0:7071"}}, [8080, 7071], id="another port"),
    ],
)
async def test_a_port_that_cannot_be_read_stays(site: Site, second: dict[str, Any], ports: list[int]) -> None:
    made = spec()
    further = http_link(name="admin", address="0.0.0.0:7070")
    made["components"][0]["traits"].append(further)
    site.application(made)
    site.deployed(made)
    before = (await site.look())["shop"]
    [config] = further["properties"]["source"]["config"]
    further["properties"]["source"]["config"] = [{"name": config["name"], **second}]
    site.deployed(made)
    now = (await site.look())["shop"]
    assert [port["port"] for port in now["spec"]["ports"]] == ports
    if 7070 in ports:
        assert now == before
        assert site.states() == [("shop", State.LEADS)]


async def test_a_service_stays_while_its_component_gets_another_name(site: Site) -> None:
    site.application()
    site.deployed(spec())
    made = (await site.look())["shop"]
    renamed = spec()
    renamed["components"][0]["name"] = "web"
    site.application(renamed)
    site.deployed(None)
    assert await site.look() == {"shop": made}
    site.deployed(renamed)
    for _ in range(2):
        [now] = (await site.look()).values()
    assert now["metadata"]["uid"] == made["metadata"]["uid"]
    assert now["metadata"]["annotations"][naming.COMPONENT] == "web"


async def test_a_service_of_a_component_that_is_left_out_goes(site: Site) -> None:
    two = spec()
    two["components"].append({**two["components"][0], "name": "admin"})
    site.application(two)
    site.deployed(two)
    assert (await site.look()).keys() == {"shop", "shop-admin"}
    two["components"].pop(0)
    site.application(two)
    site.deployed(None)
    assert (await site.look()).keys() == {"shop-admin"}


async def test_an_application_shows_nothing_of_another_one_of_its_name(site: Site) -> None:
    site.application()
    site.application(namespace=THERE)
    site.deployed(spec())
    there = Key(THERE, "shop")
    for key in (SHOP, there):
        await site.look(key)
    for key in (SHOP, there):
        await site.statuses.reconcile(key)
    await site.bench.clock.advance(6)
    await site.statuses.reconcile(there)
    mine = site.api.get(APPLICATION, SHOP)
    other = site.api.get(APPLICATION, there)
    assert mine is not None
    assert other is not None
    assert [entry["namespace"] for entry in mine["status"]["services"]] == [HERE, THERE]
    assert other["status"] == {}


@pytest.mark.parametrize(("broken", "written"), [("another", [{}]), ("default", [])])
async def test_a_broken_host_config_keeps_what_is_gone_in_the_status_of_its_own_lattice_alone(
    site: Site, broken: str, written: list[Any]
) -> None:
    site.application(at=site.lattice)
    site.deployed(spec())
    await site.look()
    await site.look(Key(THERE, "shop"))
    await site.statuses.reconcile(SHOP)
    shown = site.api.get(APPLICATION, SHOP)
    assert shown is not None
    assert shown["status"]["services"]
    site.config(HERE, "broken", lattice=broken)
    site.api.put(APPLICATION, {**shown, "spec": spec(http=False)})
    site.deployed(None)
    await site.look()
    await site.bench.clock.advance(6)
    site.api.requests.clear()
    await site.statuses.reconcile(SHOP)
    assert [request.body["status"] for request in site.api.requests if request.method == "PATCH"] == written


async def test_an_application_shows_nothing_of_another_lattices(site: Site) -> None:
    other = Lattice.at("other")
    site.config(HERE, "second", lattice="other")
    site.pools.add(Key(HERE, "second"), other)
    site.application()
    site.deployed(spec())
    await site.look()
    record = site.queries.book(site.lattice).records["shop"]
    site.queries.book(other).put("shop", replace(record, owner=None, annotations={}))
    for key in (SHOP, Key(THERE, "shop")):
        await site.look(key)
    assert site.states() == [("shop", State.LEADS), ("shop-server", State.LEADS)]
    await site.statuses.reconcile(SHOP)
    item = site.api.get(APPLICATION, SHOP)
    assert item is not None
    assert {entry["name"] for entry in item["status"]["services"]} == {"shop"}


async def test_a_service_that_somebody_deletes_again_and_again_is_said_to_be_deleted(site: Site) -> None:
    site.application()
    site.deployed(spec())
    reported = set()
    for _ in range(6):
        await site.look()
        if site.api.get(SERVICE, SHOP) is not None:
            site.api.remove(SERVICE, SHOP)
        await site.look()  # the first time it is made at once, and then some seconds later
        reported |= {
            (state, problem.reason) for _, state in site.states() for problem in site.outcomes.get(SHOP).problems
        }
        await site.bench.clock.advance(2)
    assert (State.MISSING, "SetBack") in reported


async def test_an_application_that_is_going_loses_its_service_at_once(site: Site) -> None:
    site.application()
    site.deployed(spec())
    assert await site.look() != {}
    item = site.api.get(APPLICATION, SHOP)
    assert item is not None
    going = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["k8s.wasmcloud.dev/application"]}
    site.api.put(APPLICATION, {**item, "metadata": {**item["metadata"], **going}})
    assert await site.look() == {}


async def test_an_application_that_is_gone_gets_nothing_back(site: Site) -> None:
    site.deployed(spec())
    assert await site.look() == {}
    assert await site.look(Key(THERE, "shop")) == {}


async def test_ignorance_takes_nothing_away(site: Site) -> None:
    site.deployed(spec(), owned=False)
    made = await site.look()
    book = site.queries.book(site.lattice)
    book.put("shop", None)
    book.absent.clear()
    site.lattice.ledger.listed = None
    assert await site.look() == made, "wadm has not listed"
    site.lattice.ledger.listed = ()
    site.config(HERE, "broken", lattice="default")
    assert await site.look() == made, "a host config of that lattice is not followed yet"
    site.config(HERE, "broken", lattice="another")
    assert await site.look() == {}, "a Service of another lattice is no reason"


async def test_a_manifest_that_is_read_during_the_look_saves_its_service(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.deployed(spec(), owned=False)
    made = await site.look()
    book = site.queries.book(site.lattice)
    book.put("shop", None)
    book.absent.clear()
    site.lattice.ledger.listed = None

    async def meanwhile(*_: object) -> None:
        site.lattice.ledger.listed = ()
        site.deployed(spec(), owned=False)

    monkeypatch.setattr(site.routes, "remove", meanwhile)
    assert await site.look() == made
    assert site.rust.removed == []


async def test_an_application_left_in_wadm_keeps_its_service(site: Site) -> None:
    asked = {naming.SERVICE_TYPE: "NodePort", DELETION_POLICY: "Orphan"}
    site.application(**asked)
    site.deployed(spec())
    left = await site.look()
    assert owners(left["shop"]) == {"Application", "WasmCloudHostConfig"}, "neither's end alone is the Service's"
    site.api.remove(APPLICATION, SHOP)
    kept = await site.look()
    assert owners(kept["shop"]) == {"WasmCloudHostConfig"}
    assert kept["shop"]["spec"]["type"] == "NodePort"
    applied = [request.body for request in site.api.requests if request.method == "PATCH"][-1]
    assert naming.ORPHANED in applied["metadata"]["annotations"], "it remembers that it was left on purpose"
    assert kept["shop"]["metadata"]["uid"] == left["shop"]["metadata"]["uid"]
    site.deployed(None)
    assert await site.look() == {}


@pytest.mark.parametrize("written", ["{" * 100_000, '{"a":' * 100_000, "[]", "3", "{not json"])
async def test_a_memory_of_an_orphan_that_somebody_wrote_over_costs_no_service(site: Site, written: str) -> None:
    site.application(**{DELETION_POLICY: "Orphan"})
    site.deployed(spec())
    left = (await site.look())["shop"]
    site.api.remove(APPLICATION, SHOP)
    edited = deepcopy(left)
    edited["metadata"]["annotations"][naming.ORPHANED] = written
    site.api.put(SERVICE, edited)
    kept = (await site.look())["shop"]
    assert kept["metadata"]["uid"] == left["metadata"]["uid"]
    assert kept["spec"]["type"] == "ClusterIP"


async def test_an_application_to_be_left_in_wadm_keeps_its_service_while_it_is_being_deleted(site: Site) -> None:
    site.application(**{naming.SERVICE_TYPE: "NodePort"})
    site.deployed(spec())
    made = (await site.look())["shop"]
    site.application(deleting=True, **{naming.SERVICE_TYPE: "NodePort", DELETION_POLICY: "Orphan"})
    left = (await site.look())["shop"]
    assert (left["metadata"]["uid"], left["spec"]) == (made["metadata"]["uid"], made["spec"])
    assert owners(left) == {"WasmCloudHostConfig"}


async def test_beyond_the_cluster_only_at_home_and_for_others_as_far_as_a_host_config_says(site: Site) -> None:
    site.application(**{naming.SERVICE_TYPE: "NodePort"})
    site.deployed(spec())
    assert (await site.look())["shop"]["spec"]["type"] == "NodePort"
    theirs = (await site.look(Key(THERE, "shop")))["shop"]
    assert (theirs["spec"]["type"], owners(theirs)) == ("ClusterIP", {"WasmCloudHostConfig"})
    site.api.remove(APPLICATION, SHOP)
    site.deployed(spec(), owned=False, **{naming.SERVICE_TYPE: "NodePort"})
    assert (await site.look())["shop"]["spec"]["type"] == "ClusterIP"
    site.config(HERE, "pool", **{naming.EXPOSURE: "NodePort"})
    assert (await site.look())["shop"]["spec"]["type"] == "NodePort"


async def test_a_strangers_service_is_in_the_way_and_left_alone(site: Site) -> None:
    theirs = site.api.put(SERVICE, {"metadata": {"name": "shop", "namespace": HERE}, "spec": {"type": "ClusterIP"}})
    site.application()
    site.deployed(spec())
    for _ in range(2):
        assert (await site.look())["shop"] == theirs
        assert site.states() == [("shop", State.IN_THE_WAY)]
    assert site.events.notes == []


async def test_a_problem_of_a_service_is_reported_with_the_status_that_first_shows_it(site: Site) -> None:
    for namespace in (HERE, THERE):
        site.api.put(SERVICE, {"metadata": {"name": "shop", "namespace": namespace}, "spec": {"type": "ClusterIP"}})
    site.application()
    site.deployed(spec())
    await site.look()
    assert await site.statuses.reconcile(SHOP) == Result.waiting("a look at its Services in each namespace")
    await site.look(Key(THERE, "shop"))
    await site.statuses.reconcile(SHOP)
    here, there = site.events.notes
    assert here.startswith("Service here/shop exists and belongs to somebody else")
    assert there.startswith("in namespace there: Service there/shop exists")
    await site.statuses.reconcile(SHOP)
    for key in (SHOP, Key(THERE, "shop")):  # as after a restart
        site.outcomes.drop(key)
        await site.look(key)
    await site.statuses.reconcile(SHOP)
    assert len(site.events.notes) == 2


async def test_a_service_follows_its_application_into_another_lattice(site: Site) -> None:
    site.application(at=site.lattice)
    site.deployed(spec())
    made = (await site.look())["shop"]
    other, key = Lattice(LatticeRoute(ConnectionSpec(("nats://b:4222",)), "default")), Key(HERE, "another")
    site.config(*key)
    site.pools.held[key] = Pool(key, "uid-another", other, other.route)
    book = site.queries.book(other)
    record = Record(
        application="shop",
        version="v1",
        exposure=exposure({"metadata": {"name": "shop"}, "spec": spec()}),
        owner=SHOP,
        annotations={},
    )
    book.put("shop", record)
    assert await site.look() == {"shop": made}, "the Application is not there yet"
    site.application(at=other)
    moved = await site.look()
    assert moved.keys() == {"shop"}
    assert moved["shop"]["metadata"]["uid"] == made["metadata"]["uid"]
    assert moved["shop"]["metadata"]["annotations"][naming.LATTICE_ID] == other.identity.id
    assert site.queries.leads_to(HERE, "shop", site.queries.claim(other, record))
    site.deployed(None)
    assert await site.look() == moved


async def test_a_lattice_known_by_two_addresses_is_not_another_one_until_that_is_proved(site: Site) -> None:
    """Two pools share one of their addresses; each has a lattice of its own until the servers prove them to be one."""
    site.application(at=site.lattice)
    site.deployed(spec())
    await site.look()
    addresses = (*site.lattice.route.spec.addresses, "nats://b:4222")
    twin, key = Lattice(LatticeRoute(ConnectionSpec(addresses), "default")), Key(HERE, "twin")
    assert site.lattice.identity.id in twin.identity.ids
    site.config(*key)
    site.pools.held[key] = Pool(key, "uid-twin", twin, twin.route)
    record = Record(
        application="shop",
        version="v1",
        exposure=exposure({"metadata": {"name": "shop"}, "spec": spec()}),
        owner=SHOP,
        annotations={},
    )
    site.queries.book(twin).put("shop", record)
    for lattice in (site.lattice, twin):
        assert site.queries.plan(HERE, lattice, record).services, "neither is about to lose it"


async def test_another_application_does_not_get_a_name_that_is_kept(site: Site) -> None:
    site.application()
    site.deployed(spec())
    made = await site.look()
    site.deployed(None)
    book = site.queries.book(site.lattice)
    found = exposure({"metadata": {"name": "rival"}, "spec": spec()})
    book.put(
        "rival",
        replace(Record(application="rival", version="v1", exposure=found), annotations={naming.SERVICE_NAME: "shop"}),
    )
    assert await site.look(Key(HERE, "rival")) == made
    assert site.states(Key(HERE, "rival")) == [("shop", State.IN_THE_WAY)]


async def test_while_an_application_is_paused_nothing_is_written(site: Site) -> None:
    site.application(**{"k8s.wasmcloud.dev/paused": "true"})
    site.deployed(spec())
    assert await site.look() == {}


def test_the_options_of_no_annotations_ask_for_a_plain_service() -> None:
    assert read_options({}).within(frozenset()) == read_options({})
