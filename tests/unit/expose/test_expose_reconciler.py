"""What a look at an application's Services comes to, against a scripted API server: made, kept, left alone, removed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from kubebench import KubeBench
from wasmcloud_operator.expose import naming
from wasmcloud_operator.expose.annotations import read_options
from wasmcloud_operator.expose.by_application import ByApplication
from wasmcloud_operator.expose.directory import Directory
from wasmcloud_operator.expose.plan import Record
from wasmcloud_operator.expose.reconciler import Outcome, Outcomes, ServiceReconciler, State
from wasmcloud_operator.expose.routes import ROUTE_CONFLICT
from wasmcloud_operator.expose.status import ExposedWriter
from wasmcloud_operator.expose.view import View
from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube.apply import Applier, Kind
from wasmcloud_operator.kube.codec import CUSTOM_RESOURCE, UNSTRUCTURED, Codec
from wasmcloud_operator.kube.contest import Contested, Contests
from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import CustomResource, Pod
from wasmcloud_operator.kube.resources import HTTP_ROUTE, POD, SERVICE, Key
from wasmcloud_operator.kube.testing.faults import Answer
from wasmcloud_operator.kube.testing.objects import status
from wasmcloud_operator.lattice.identity import LatticeIdentity, LatticeRoute
from wasmcloud_operator.lattice.spec import ConnectionSpec
from wasmcloud_operator.lattice.wadm_types import ModelSummary
from wasmcloud_operator.legacy.services import FINALIZER
from wasmcloud_operator.manifest.http_endpoints import exposure
from wasmcloud_operator.names import DELETION_POLICY, FINGERPRINT
from wasmcloud_operator.shared.pools import Pool
from wasmcloud_operator.shared.problem import Problem
from wasmcloud_operator.shared.unowned_problems import UnownedProblems

HERE, THERE = "here", "there"
SHOP = Key(HERE, "shop")


@dataclass
class Listed:
    listed: tuple[ModelSummary, ...] | None = ()

    @property
    def deployed_versions(self) -> dict[str, str]:
        return {app.name: app.deployed_version for app in self.listed or ()}


@dataclass(eq=False)
class Lattice:
    """As much of a lattice as Services need, without a connection."""

    route: LatticeRoute = field(default_factory=lambda: LatticeRoute(ConnectionSpec(("nats://a:4222",)), "default"))
    ledger: Listed = field(default_factory=Listed)

    @property
    def name(self) -> str:
        return self.route.name

    @property
    def identity(self) -> LatticeIdentity:
        return self.route.identity


class Pools:
    def __init__(self) -> None:
        self.held: dict[Key, Pool] = {}

    def get(self, key: Key) -> Pool | None:
        return self.held.get(key)

    def all(self) -> tuple[Pool, ...]:
        return tuple(self.held.values())

    def in_namespace(self, namespace: str) -> tuple[Pool, ...]:
        return tuple(pool for pool in self.all() if pool.key.namespace == namespace)

    def of(self, lattice: Any) -> tuple[Pool, ...]:
        return tuple(pool for pool in self.all() if pool.lattice is lattice)


class NothingLeft:
    """The Rust operator left nothing, or a Service whose first endpoint is awaited."""

    def __init__(self) -> None:
        self.awaited = False
        self.removed: list[Key] = []

    async def eased(self, key: Key, body: Any) -> Any:
        return body

    async def clean(self, key: Key, metadata: Any) -> None:
        pass

    async def remove(self, key: Key) -> None:
        self.removed.append(key)

    def due(self, key: Key) -> bool:
        return self.awaited


class NoRoutes:
    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.kept: tuple[set[str], set[str]] = (set(), set())

    async def apply(self, *_: Any) -> list[Any]:
        return self.problems

    async def remove(self, key: Key, services: Any, kept: Any, removable: Any) -> None:
        self.kept = {one.name for one in services}, set(kept)


class Events:
    def __init__(self) -> None:
        self.notes: list[str] = []

    def event(self, _: Any, __: Any, ___: str, ____: str, note: str, *, action: str) -> None:
        self.notes.append(note)


def spec(address: str = "0.0.0.0:8080", *, http: bool = True) -> dict[str, Any]:
    link = {
        "type": "link",
        "properties": {
            "namespace": "wasi",
            "package": "http",
            "interfaces": ["incoming-handler"],
            "target": {"name": "web"},
            "source": {"config": [{"name": "c", "properties": {"address": address}}]},
        },
    }
    server = {"name": "server", "type": "capability", "properties": {"image": "x/http-server:1"}, "traits": [link]}
    return {"components": [server] if http else []}


class Site:
    """The reconciler on real caches of a scripted API server; two namespaces with a pool each in one lattice."""

    def __init__(self, bench: KubeBench) -> None:
        self.bench, self.api = bench, bench.api
        self.lattice, self.pools, self.events = Lattice(), Pools(), Events()
        services: Informer[Any] = self._informer(SERVICE, UNSTRUCTURED)
        self.configs: Informer[CustomResource] = self._informer(HOST_CONFIG, CUSTOM_RESOURCE)
        self.applications: Informer[CustomResource] = self._informer(APPLICATION, CUSTOM_RESOURCE)
        owned = ByApplication(services, lambda *_: None)
        self.view = View(self.pools, Directory(), self.configs, services, owned, self.applications, lambda *_: None)
        self.outcomes = Outcomes(lambda _: None)
        self.unowned = UnownedProblems()
        self.rust, self.routes = NothingLeft(), NoRoutes()
        self.reconciler = ServiceReconciler(
            self.view,
            Kind(SERVICE, services),
            owned,
            self.routes,
            self.rust,
            Applier(bench.client, FINGERPRINT),
            bench.client,
            self.events,
            self.outcomes,
            self.unowned,
        )
        pods: Informer[Any] = self._informer(POD, Codec.of(Pod))
        self.statuses = ExposedWriter(
            self.view,
            bench.client,
            self.applications,
            pods,
            self.outcomes,
            self.events,
            bench.clock,
        )
        self.informers = (services, self.configs, self.applications, pods)
        for namespace in (HERE, THERE):
            self.config(namespace, "pool")
            key = Key(namespace, "pool")
            self.pools.held[key] = Pool(key, f"uid-{namespace}", self.lattice, self.lattice.route)

    def _informer(self, resource: Any, codec: Any) -> Informer[Any]:
        made: Informer[Any] = Informer.on_api(
            self.bench.client, resource, codec, clock=self.bench.clock, metrics=self.bench.metrics
        )
        self.bench.start(made.run())
        return made

    async def begin(self) -> None:
        await self.bench.clock.until(lambda: all(informer.synced for informer in self.informers))

    def config(self, namespace: str, name: str, lattice: str = "default", **annotations: str) -> None:
        metadata = {"name": name, "namespace": namespace, "annotations": annotations}
        self.api.put(HOST_CONFIG, {"metadata": metadata, "spec": {"lattice": lattice}})

    def application(
        self,
        made: dict[str, Any] | None = None,
        *,
        deleting: bool = False,
        at: Lattice | None = None,
        **annotations: str,
    ) -> None:
        metadata: dict[str, Any] = {"name": "shop", "namespace": HERE, "annotations": annotations}
        if deleting:
            metadata["deletionTimestamp"] = "2026-03-01T12:00:00Z"
        status = {"latticeId": at.identity.id} if at is not None else {}
        self.api.put(
            APPLICATION, {"metadata": metadata, "spec": made if made is not None else spec(), "status": status}
        )

    def deployed(self, made: dict[str, Any] | None, *, owned: bool = True, **annotations: str) -> None:
        """What wadm runs now."""
        record = None
        if made is not None:
            found = exposure({"metadata": {"name": "shop"}, "spec": made})
            record = Record("shop", "v1", found, owner=SHOP if owned else None, annotations=annotations)
        self.view.book(self.lattice).put("shop", record)

    async def look(self, key: Key = SHOP) -> dict[str, Any]:
        """Every Service by name, after a look at an application in a namespace."""
        await self.bench.clock.advance(1)  # what was written before is in the caches
        self.result = await self.reconciler.reconcile(key)
        await self.bench.clock.advance(1)
        return {found.name: body for found, body in self.api.all(SERVICE).items() if found.namespace == key.namespace}

    def states(self, key: Key = SHOP) -> list[tuple[str, State]]:
        outcome = self.outcomes.get(key)
        return [(made.name, made.state) for made in outcome.services] if outcome is not None else []


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    bench = KubeBench()
    made = Site(bench)
    await made.begin()
    yield made
    await bench.stop()


def owners(service: dict[str, Any]) -> set[str]:
    return {owner["kind"] for owner in service["metadata"]["ownerReferences"]}


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
    book = site.view.book(site.lattice)
    book.put("shop", None)
    book.absent.clear()
    site.lattice.ledger.listed = None
    assert await site.look() == made, "wadm has not listed"
    site.lattice.ledger.listed = ()
    site.config(HERE, "broken", lattice="default")
    assert await site.look() == made, "a host config of that lattice is not followed yet"
    site.config(HERE, "broken", lattice="another")
    assert await site.look() == {}, "that of another lattice is no reason"


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
    book = site.view.book(other)
    record = Record("shop", "v1", exposure({"metadata": {"name": "shop"}, "spec": spec()}), owner=SHOP, annotations={})
    book.put("shop", record)
    assert await site.look() == {"shop": made}, "the Application is not there yet"
    site.application(at=other)
    moved = await site.look()
    assert moved.keys() == {"shop"}
    assert moved["shop"]["metadata"]["uid"] == made["metadata"]["uid"]
    assert moved["shop"]["metadata"]["annotations"][naming.LATTICE_ID] == other.identity.id
    assert site.view.leads_to(HERE, "shop", site.view.claim(other, record))
    site.deployed(None)
    assert await site.look() == moved


async def test_another_application_does_not_get_a_name_that_is_kept(site: Site) -> None:
    site.application()
    site.deployed(spec())
    made = await site.look()
    site.deployed(None)
    book = site.view.book(site.lattice)
    found = exposure({"metadata": {"name": "rival"}, "spec": spec()})
    book.put("rival", replace(Record("rival", "v1", found), annotations={naming.SERVICE_NAME: "shop"}))
    assert await site.look(Key(HERE, "rival")) == made
    assert site.states(Key(HERE, "rival")) == [("shop", State.IN_THE_WAY)]


async def test_while_an_application_is_paused_nothing_is_written(site: Site) -> None:
    site.application(**{"k8s.wasmcloud.dev/paused": "true"})
    site.deployed(spec())
    assert await site.look() == {}


def test_the_options_of_no_annotations_ask_for_a_plain_service() -> None:
    assert read_options({}).within(frozenset()) == read_options({})


# --- when it is looked at again ---------------------------------------------------------------------------------------


async def test_an_obstacle_is_checked_again_soon_and_a_refusal_later(site: Site) -> None:
    site.application()
    site.deployed(spec())
    await site.look()
    assert site.result == DONE
    for reason, seconds in ((ROUTE_CONFLICT, 10.0), ("RouteRefused", 60.0)):
        site.routes.problems = [Problem(reason, "", "no")]
        await site.look()
        assert site.result.requeue_after == seconds
    site.routes.problems = []
    site.rust.awaited = True
    await site.look()
    assert site.result.requeue_after == 1.0


async def test_a_strangers_service_is_not_watched_and_so_looked_at_again(site: Site) -> None:
    site.api.put(SERVICE, {"metadata": {"name": "shop", "namespace": HERE}, "spec": {"type": "ClusterIP"}})
    site.application()
    site.deployed(spec())
    await site.look()
    assert site.result.requeue_after == 10.0
    assert list(site.unowned.of(HERE, site.lattice)) == [], "its Application shows it"


async def test_a_problem_of_an_application_over_nats_is_noted_by_its_name(
    site: Site,
) -> None:
    site.api.put(SERVICE, {"metadata": {"name": "shop", "namespace": HERE}, "spec": {"type": "ClusterIP"}})
    site.deployed(spec(), owned=False)
    await site.look()
    (problem,) = site.unowned.of(HERE, site.lattice)
    assert (problem.reason, "application shop" in problem.message) == ("Conflict", True)


async def test_before_wadm_has_listed_an_application_without_a_record_is_waited_for(site: Site) -> None:
    site.lattice.ledger.listed = None
    await site.look(Key(HERE, "unknown"))
    assert site.result == Result.waiting("what is deployed in the lattices of its namespace")
    assert site.rust.removed == [], "it may be deployed"
    site.outcomes.put(Key(HERE, "unknown"), Outcome(problems=(Problem("Before", "", ""),)))
    await site.look(Key(HERE, "unknown"))
    assert site.outcomes.get(Key(HERE, "unknown")) is not None
    site.lattice.ledger.listed = ()
    await site.look(Key(HERE, "unknown"))
    assert site.result == DONE
    assert site.outcomes.get(Key(HERE, "unknown")) is None
    assert site.rust.removed == [Key(HERE, "unknown")]


async def test_while_a_host_config_is_not_followed_yet_nothing_is_sure(site: Site) -> None:
    site.config(HERE, "broken")
    await site.look(Key(HERE, "unknown"))
    assert site.result != DONE
    assert site.rust.removed == []


async def test_while_a_configuration_cannot_be_read_nothing_is_sure(site: Site) -> None:
    external = spec()
    del external["components"][0]["traits"][0]["properties"]["source"]["config"][0]["properties"]
    site.deployed(external, owned=False)
    await site.look()
    assert site.states() == [("shop", State.MISSING)]
    site.deployed(external, owned=False, **{naming.SERVICE: "false"})
    await site.look()
    assert site.rust.removed == []


async def test_a_service_that_is_kept_counts_for_what_the_rust_operator_left_and_for_its_routes(site: Site) -> None:
    site.application()
    site.deployed(spec())
    await site.look()
    site.deployed(spec("0.0.0.0:80800"))
    await site.look()
    assert site.rust.removed == []
    assert site.routes.kept == (set(), {"shop"})
    outcome = site.outcomes.get(SHOP)
    assert outcome is not None
    assert outcome.services[0].urls == ("http://shop.here.svc:8080",), "it leads where it led"


# --- whose Service it is ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("leaf", "state"), [({}, State.IN_THE_WAY), ({"enabled": False}, State.LEADS)])
async def test_a_name_that_a_host_configs_own_service_has_is_not_taken(
    site: Site, leaf: dict[str, Any], state: State
) -> None:
    metadata = {"name": "shop", "namespace": HERE}
    site.api.put(HOST_CONFIG, {"metadata": metadata, "spec": {"lattice": "another", "leafService": leaf}})
    site.application()
    site.deployed(spec())
    await site.look()
    assert site.states() == [("shop", state)]


async def test_a_strangers_service_is_not_one_that_is_kept(site: Site) -> None:
    site.api.put(SERVICE, {"metadata": {"name": "shop", "namespace": HERE}, "spec": {"type": "ClusterIP"}})
    site.application()
    site.deployed(spec("0.0.0.0:80800"))
    await site.look()
    assert site.states() == [("shop", State.MISSING)]


@pytest.mark.parametrize(
    ("resource", "path", "state"),
    [
        (SERVICE, ".spec.ports", State.SET_BACK),
        (SERVICE, ".metadata.labels", State.LEADS),
        (HTTP_ROUTE, ".spec.rules", State.LEADS),
    ],
)
async def test_where_a_service_leads_is_not_known_while_somebody_sets_its_spec_back(
    site: Site, monkeypatch: pytest.MonkeyPatch, resource: Any, path: str, state: State
) -> None:
    contested = Contested(resource, SHOP, path, "kubectl")
    monkeypatch.setattr(Contests, "of", lambda *_: [contested])
    monkeypatch.setattr(Contests, "again", lambda *_: 7.0)
    site.application()
    site.deployed(spec())
    await site.look()
    assert site.states() == [("shop", state)]
    outcome = site.outcomes.get(SHOP)
    assert outcome is not None
    assert [problem.reason for problem in outcome.problems] == ["SetBack"]
    assert site.result.requeue_after == 7.0


async def test_a_service_in_another_namespace_does_not_remember_that_its_application_is_to_be_left(site: Site) -> None:
    site.application(**{DELETION_POLICY: "Orphan"})
    site.deployed(spec())
    here = (await site.look())["shop"]["metadata"]["annotations"]
    there = (await site.look(Key(THERE, "shop")))["shop"]["metadata"]["annotations"]
    assert (naming.ORPHANED in here, naming.ORPHANED in there) == (True, False)


async def test_host_configs_of_another_lattice_own_nothing(site: Site) -> None:
    other, key = Lattice(LatticeRoute(ConnectionSpec(("nats://b:4222",)), "another")), Key(HERE, "another")
    site.config(*key, lattice="another")
    site.pools.held[key] = Pool(key, "uid-another", other, other.route)
    site.deployed(spec(), owned=False)
    made = (await site.look())["shop"]
    assert [owner["name"] for owner in made["metadata"]["ownerReferences"]] == ["pool"]


async def test_a_failure_keeps_what_was_known_of_the_services(site: Site) -> None:
    site.application()
    site.deployed(spec())
    await site.look()
    await site.reconciler.report(SHOP, ValueError("no"))
    assert site.states() == [("shop", State.LEADS)]


# --- what a Service cannot change -------------------------------------------------------------------------------------


def refused(field: str) -> Answer:
    return Answer(on="write", code=422, body=status(422, "Invalid", "cannot be changed", field))


TAKEN = Answer(on="write", code=200, body={"metadata": {"name": "trial", "namespace": HERE, "uid": "trial"}})


async def test_a_service_that_has_to_begin_with_another_family_is_made_anew_if_the_new_one_would_be_taken(
    site: Site,
) -> None:
    site.application()
    site.deployed(spec())
    made = (await site.look())["shop"]
    site.deployed(spec("0.0.0.0:8081"))
    site.api.fail(refused("spec.ipFamilies[0]"), refused("spec.clusterIPs"))
    assert (await site.look())["shop"] == made
    assert site.states() == [("shop", State.MISSING)]
    assert site.events.notes == []
    site.api.fail(refused("spec.ipFamilies[0]"), TAKEN)
    await site.look()
    await site.look()
    anew = (await site.look())["shop"]
    assert anew["metadata"]["uid"] != made["metadata"]["uid"]
    assert site.states() == [("shop", State.LEADS)]
    assert [note.partition(" is deleted")[0] for note in site.events.notes] == ["Service here/shop"]


async def test_for_any_other_refusal_no_service_is_deleted(site: Site) -> None:
    site.application()
    site.deployed(spec())
    made = (await site.look())["shop"]
    site.deployed(spec("0.0.0.0:8081"))
    site.api.fail(refused("spec.ports[0].port"))
    site.api.requests.clear()
    assert (await site.look())["shop"] == made
    assert [request.method for request in site.api.requests if request.method != "GET"] == ["PATCH"]


async def test_a_service_that_finalizers_hold_is_waited_for_and_not_deleted_once_more(site: Site) -> None:
    site.application()
    site.deployed(spec())
    made = (await site.look())["shop"]
    going = {**made["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["of.others/one"]}
    site.api.put(SERVICE, {**made, "metadata": going})
    site.deployed(spec("0.0.0.0:8081"))
    site.api.fail(refused("spec.ipFamilies[0]"))
    site.api.requests.clear()
    await site.look()
    assert [request.method for request in site.api.requests if request.method != "GET"] == ["PATCH"]
    assert site.states() == [("shop", State.MISSING)]
    outcome = site.outcomes.get(SHOP)
    assert outcome is not None
    assert [problem.reason for problem in outcome.problems] == ["ServiceBeingReplaced"]


async def test_a_service_of_the_operator_written_in_rust_is_taken_over(site: Site) -> None:
    metadata = {"name": "shop", "namespace": HERE, "finalizers": [FINALIZER]}
    theirs = site.api.put(SERVICE, {"metadata": metadata, "spec": {"type": "ClusterIP"}})
    site.application()
    site.deployed(spec())
    taken = (await site.look())["shop"]
    assert taken["metadata"]["uid"] == theirs["metadata"]["uid"]
    assert site.states() == [("shop", State.LEADS)]
