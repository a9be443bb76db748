"""What a look at an Application comes to: what is asked and written, what is shown, and when it is looked at again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from wasmcloud_operator.application.deletion import Deletion, left_in_wadm
from wasmcloud_operator.application.owners import Owners
from wasmcloud_operator.application.place import Place
from wasmcloud_operator.application.places import Places
from wasmcloud_operator.application.reconciler import ApplicationReconciler
from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.kube.errors import WritesForbidden
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.kube.testing import VirtualClock
from wasmcloud_operator.lattice.connection_types import ConnectionState, Reach
from wasmcloud_operator.lattice.content import OWNER_CLUSTER, OWNER_UID
from wasmcloud_operator.lattice.deploying import Deploying
from wasmcloud_operator.lattice.errors import WadmNotFound, WadmRejected, WadmTransient
from wasmcloud_operator.lattice.identity import LatticeIdentity, LatticeRoute
from wasmcloud_operator.lattice.ledger import Entry, Ledger
from wasmcloud_operator.lattice.spec import ConnectionSpec
from wasmcloud_operator.lattice.wadm_events import StatusPushed
from wasmcloud_operator.lattice.wadm_types import ModelSummary, PutResult, Status, VersionInfo

Json = dict[str, Any]

KEY = Key("here", "shop")
PUSH = "wadm's word about the deployed version"
WRITES = {"put", "deploy", "undeploy", "delete"}
IDLE: Json = {"status": {"type": "undeployed"}, "scalers": []}


def runs(*ids: str) -> Json:
    return {
        "status": {"type": "deployed"},
        "scalers": [{"id": one, "name": one, "kind": "SpreadScaler", "status": {"type": "deployed"}} for one in ids],
    }


def spec(image: int = 1, instances: int = 1) -> Json:
    scaler = {"type": "spreadscaler", "properties": {"instances": instances}}
    web = {"name": "web", "type": "component", "properties": {"image": f"x/web:{image}"}, "traits": [scaler]}
    return {"components": [web]}


class Wadm:
    """A wadm with one application, asked without NATS."""

    def __init__(self) -> None:
        self.versions_held: dict[str, Json] = {}
        self.running = ""
        self.told = IDLE
        self.asked: list[str] = []
        self.fails: dict[str, Exception] = {}
        self.on_ask: Callable[[str], None] = lambda _: None

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        self.on_ask(what)
        if what in self.fails:
            raise self.fails[what]

    async def versions(self, _: str) -> tuple[VersionInfo, ...]:
        self._ask("versions")
        return tuple(VersionInfo(version=one, deployed=one == self.running) for one in self.versions_held)

    async def get(self, name: str, version: str | None = None) -> Json:
        self._ask("get")
        if not self.versions_held:
            raise WadmNotFound(name)
        return self.versions_held[version or list(self.versions_held)[-1]]

    async def put(self, manifest: Json) -> PutResult:
        self._ask("put")
        self.versions_held[manifest["metadata"]["annotations"]["version"]] = manifest
        return PutResult(total_versions=len(self.versions_held))

    async def deploy(self, _: str, version: str | None = None) -> None:
        self._ask("deploy")
        self.running = str(version)

    async def undeploy(self, _: str) -> None:
        self._ask("undeploy")
        self.running = ""

    async def delete(self, _: str, version: str | None = None) -> bool:
        self._ask("delete")
        for one in [version] if version else list(self.versions_held):
            del self.versions_held[one]
        return True

    async def status(self, _: str) -> Status:
        self._ask("status")
        return Status.model_validate(self.told)

    @property
    def written(self) -> list[str]:
        return [one for one in self.asked if one in WRITES]


@dataclass(eq=False)
class Lattice:
    clock: VirtualClock
    address: str = "nats://a:4222"
    name: str = "one"
    hosts: Any = field(default_factory=lambda: SimpleNamespace(hosts={"N1": None}, synced=True))
    reach: Reach = Reach.CONNECTED
    identified: bool = True

    def __post_init__(self) -> None:
        self.route = LatticeRoute(ConnectionSpec((self.address,)), self.name)
        self.wadm, self.ledger = Wadm(), Ledger(self.name, clock=self.clock)
        self.ledger.take_list([], "connection")

    @property
    def identity(self) -> LatticeIdentity:
        return self.route.identity

    @property
    def connection(self) -> Any:
        state = ConnectionState(self.reach, "Lost", "nobody answers", datetime(2026, 1, 1, tzinfo=UTC))
        return SimpleNamespace(state=state, max_payload=1 << 20)


class Lattices:
    """Which lattice is held for whom."""

    def __init__(self) -> None:
        self.held: dict[str, Any] = {}

    def held_by(self, holder: str) -> Any:
        return self.held.get(holder)

    def keep(self, holder: str, lattice: Any) -> None:
        self.held[holder] = lattice

    def all_holders(self) -> tuple[str, ...]:
        return tuple(self.held)

    def release(self, holder: str) -> None:
        self.held.pop(holder, None)


class Store(dict[Key, CustomResource]):
    unreadable: frozenset[Key] = frozenset()

    def __iter__(self) -> Iterator[Any]:  # a store is a row of objects
        return iter(list(self.values()))


class Writer:
    """Notes what is shown, and keeps the fields as the status."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.reasons: list[str] = []
        self.fields: list[Json] = []
        self.generations: list[int] = []

    async def show(self, item: CustomResource, verdict: Any, told: Json | None = None) -> bool:
        self.reasons.append(verdict.reason)
        self.generations.append(item.metadata.generation)
        if told is not None:
            self.fields.append(told)
            now = self.store[item.metadata.key]
            self.store[item.metadata.key] = replace(now, status={**told, "message": verdict.message})
        return True

    async def show_leaving(self, item: CustomResource, leaving: Json) -> bool:
        now = self.store[item.metadata.key]
        rest = {name: value for name, value in cast("Json", now.status or {}).items() if name != "leaving"}
        self.store[item.metadata.key] = replace(now, status={**rest, **leaving})
        return bool(leaving)

    async def show_paused(self, item: CustomResource) -> bool:
        self.reasons.append("Paused")
        return True

    async def add_finalizer(self, item: CustomResource) -> CustomResource:
        now = self.store[item.metadata.key]
        self.store[item.metadata.key] = replace(now, metadata=replace(now.metadata, finalizers=("ours",)))
        return item


class Site:
    """The reconciler with its places, its deletion and a ledger; the API server and wadm are in memory."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.lattice = Lattice(self.clock)
        self.store, self.configs, self.events = Store(), Store(), list[str]()
        self.pool: Any = SimpleNamespace(lattice=self.lattice, route=self.lattice.route)
        pools = SimpleNamespace(
            lattices=Lattices(),
            get=lambda _: self.pool,
            in_namespace=lambda _: [self.pool] if self.pool is not None else [],
        )
        self.places = Places(cast("Any", pools), cast("Any", SimpleNamespace(store=self.configs)))
        self.writer = Writer(self.store)
        self.gate = SimpleNamespace(ours=True)
        applications: Any = SimpleNamespace(store=self.store, synced_in=lambda _: True)
        owners = Owners("c1", applications)
        recorder: Any = SimpleNamespace(event=lambda *told, action: self.events.append(told[3]))
        self.woken = list[Key]()
        client: Any = SimpleNamespace()
        wake, clock = self.woken.append, self.clock
        shared: Any = (self.places, self.writer, client, recorder, clock, owners, wake, self.gate)
        self.deletion = Deletion(*shared, left_in_wadm(CollectorRegistry()), cast("Any", {}))
        made: Any = (applications, self.places, self.writer, self.deletion, recorder, self.clock, owners)
        self.reconciler = ApplicationReconciler(*made, self.woken.append, cast("Any", self.gate))
        self.configs[Key("here", "pool")] = CustomResource(ObjectMeta("pool", "here", "p1", "1", 1), {"lattice": "one"})
        self.application()

    @property
    def wadm(self) -> Wadm:
        return self.lattice.wadm

    def application(
        self, image: int = 1, *, instances: int = 1, generation: int = 1, status: Json | None = None, **told: str
    ) -> None:
        annotations = {f"k8s.wasmcloud.dev/{name.replace('_', '-')}": value for name, value in told.items()}
        before = self.store.get(KEY)
        kept = before.status if before is not None and status is None else status
        meta = ObjectMeta("shop", "here", "u1", "1", generation, annotations=annotations)
        self.store[KEY] = CustomResource(meta, spec(image, instances), kept)

    def left(self, *names: str) -> Json:
        """A status with lattices that it is leaving and to which nothing leads."""
        entries = [{"lattice": name, "latticeId": f"id-{name}", "hostConfig": "gone"} for name in names]
        return {"lattice": "one", "latticeId": self.lattice.identity.id, "hostConfig": "pool", "leaving": entries}

    async def look(self) -> Result:
        return await self.reconciler.reconcile(KEY)

    async def look_in(self, seconds: float) -> Result:
        await self.clock.advance(seconds)
        return await self.look()

    async def deployed(self, *ids: str) -> None:
        """Have it run, with scalers of these ids."""
        await self.look()
        self.push(runs(*ids))
        assert await self.look() == DONE
        assert self.shown == "Deployed"
        self.wadm.asked.clear()

    def push(self, told: Json) -> None:
        self.wadm.told = told
        self.lattice.ledger.take_event(StatusPushed("shop", Status.model_validate(told)))

    def listed(self, kind: str = "deployed") -> None:
        """As after a start: what wadm has is known by a list alone."""
        self.lattice.ledger = Ledger("one", clock=self.clock)
        listed = {"name": "shop", "version": list(self.wadm.versions_held)[-1], "deployed_version": self.wadm.running}
        summary = ModelSummary.model_validate({**listed, "status": {"type": kind}})
        self.lattice.ledger.take_list([summary], "connection")

    @property
    def shown(self) -> str:
        return self.writer.reasons[-1] if self.writer.reasons else ""


@pytest.fixture
def site() -> Site:
    return Site()


# --- before anything is asked -----------------------------------------------------------------------------------------


async def test_while_the_crd_may_be_another_projects_nobody_is_asked_and_nothing_is_shown(site: Site) -> None:
    site.gate.ours = False
    assert (await site.look()).requeue_after == 1.0
    await site.reconciler.report(KEY, ValueError("no"))
    assert (site.wadm.asked, site.writer.reasons) == ([], [])


async def test_a_crd_that_comes_into_doubt_while_wadm_is_read_keeps_wadm_from_being_written(site: Site) -> None:
    await site.deployed("s1")
    site.application(2, generation=2)
    site.wadm.on_ask = lambda _: setattr(site.gate, "ours", False)
    with pytest.raises(WritesForbidden):
        await site.look()
    assert site.wadm.written == []


async def test_before_wadm_has_listed_nobody_is_asked(site: Site) -> None:
    site.lattice.ledger = Ledger("one", clock=site.clock)
    assert await site.look() == Result.waiting("wadm's list of lattice one")
    assert site.wadm.asked == []


async def test_a_pause_is_shown_and_nothing_else_is_done(site: Site) -> None:
    site.application(paused="true")
    await site.look()
    assert (site.wadm.asked, site.writer.reasons) == ([], ["Paused"])


@pytest.mark.parametrize(("reach", "shown"), [(Reach.CONNECTING, []), (Reach.LOST, ["Lost"])])
async def test_a_lattice_that_is_out_of_reach_is_shown_one_that_is_being_reached_is_not(
    site: Site, reach: Reach, shown: list[str]
) -> None:
    site.lattice.reach = reach
    assert await site.look() == Result.waiting("lattice one: nobody answers")
    assert (site.wadm.asked, site.writer.reasons) == ([], shown)


async def test_a_host_config_whose_connection_is_not_known_is_shown_once_there_was_time_to_read_it(site: Site) -> None:
    site.pool = None
    assert (await site.look()).requeue_after == 5.0
    assert site.writer.reasons == []
    assert (await site.look_in(5.0)).requeue_after is None
    assert site.writer.reasons == ["HostConfigNotReady"]


async def test_of_what_only_a_user_can_mend_an_event_is_made(site: Site) -> None:
    other = CustomResource(ObjectMeta("q", "here", "p2", "1", 1), {"lattice": "two"})
    site.configs[Key("here", "q")] = other
    await site.look()
    assert site.events == ["AmbiguousLattice"]
    going = replace(other.metadata, deletion_timestamp="2026-01-01T00:00:00Z")
    site.configs[Key("here", "q")] = replace(other, metadata=going)
    await site.look()
    assert site.wadm.running, "a host config that is going is none to choose"


async def test_an_application_that_is_gone_holds_nothing(site: Site) -> None:
    await site.deployed("s1")
    assert site.places.held(KEY) is not None
    del site.store[KEY]
    assert await site.look() == DONE
    assert site.places.held(KEY) is None


# --- what is written --------------------------------------------------------------------------------------------------


async def test_before_the_first_put_its_lattice_is_shown_and_the_deletion_can_wait_for_it(site: Site) -> None:
    def look(what: str) -> None:
        if what == "put":
            assert site.store[KEY].metadata.finalizers == ("ours",)
            assert site.places.held(KEY) is site.lattice
            assert cast("Json", site.store[KEY].status)["latticeId"] == site.lattice.identity.id

    site.wadm.on_ask = look
    await site.look()
    assert site.wadm.written == ["put", "deploy"]


async def test_before_a_put_the_lattices_that_are_left_for_it_are_shown(site: Site) -> None:
    former = Lattice(site.clock, "nats://b:4222", "former")
    site.places.hold(KEY, cast("Any", former))  # on the way there it was called back
    site.application(status={"lattice": "one", "latticeId": site.lattice.identity.id, "hostConfig": "pool"})

    def look(what: str) -> None:
        if what == "put":
            assert [one["lattice"] for one in cast("Json", site.store[KEY].status)["leaving"]] == ["former"]

    site.wadm.on_ask = look
    await site.look()
    assert "put" in site.wadm.written


async def test_a_lattice_by_another_name_is_shown_before_the_put_as_well(site: Site) -> None:
    site.application(status={"lattice": "former", "latticeId": "id-former", "hostConfig": "gone"})

    def look(what: str) -> None:
        if what == "put":
            assert cast("Json", site.store[KEY].status)["lattice"] == "one"

    site.wadm.on_ask = look
    await site.look()
    assert "put" in site.wadm.written


async def test_the_former_status_is_believed_of_its_own_lattice_alone(site: Site) -> None:
    await site.deployed("s1")
    site.listed()
    assert await site.look() == DONE
    assert site.wadm.asked == []
    site.listed()
    kept = cast("Json", site.store[KEY].status)
    site.application(status={**kept, "latticeId": "another"})
    await site.look()
    assert "versions" in site.wadm.asked


@pytest.mark.parametrize(("annotated", "kept"), [({"revision_history_limit": "1"}, 2), ({}, 4)])
async def test_as_many_old_versions_stay_as_the_annotation_asks(
    site: Site, annotated: dict[str, str], kept: int
) -> None:
    for image in range(1, 5):
        site.application(image, generation=image, **annotated)
        await site.look()
        site.push(runs(f"s{image}"))
        await site.look()
    assert len(site.wadm.versions_held) == kept


async def test_the_outcome_of_an_old_spec_is_shown_under_its_generation(site: Site) -> None:
    site.wadm.on_ask = lambda _: site.application(2, generation=2)
    site.wadm.fails["put"] = WadmRejected("no")
    await site.look()
    assert (site.shown, site.writer.generations[-1]) == ("PutRejected", 1)


# --- until wadm's status is known -------------------------------------------------------------------------------------


async def test_a_deploy_is_shown_as_one_status_if_wadm_tells_of_it_soon(site: Site) -> None:
    assert await site.look() == Result.waiting(PUSH, 2.0)
    shown = list(site.writer.reasons)
    site.push(runs("s1"))
    assert await site.look() == DONE
    assert site.writer.reasons == [*shown, "Deployed"]


async def test_a_deploy_that_wadm_does_not_tell_of_is_shown_and_then_asked_for(site: Site) -> None:
    await site.look()
    before = len(site.writer.reasons)
    assert await site.look_in(3.0) == Result.waiting(PUSH, 2.0)
    assert site.writer.reasons[before:] == ["Deploying"]
    assert "status" not in site.wadm.asked
    site.wadm.told = runs("s1")
    assert await site.look_in(2.0) == DONE
    assert (site.wadm.asked[-1], site.shown) == ("status", "Deployed")


async def test_a_status_of_the_former_version_is_asked_for_again_until_it_is_of_the_new_one(site: Site) -> None:
    await site.deployed("s1")
    site.application(2, generation=2)
    await site.look()
    assert await site.look_in(8.0) == Result.waiting(PUSH, 4.0), "half as long as it lasted so far"
    assert site.shown == "Deploying"
    site.push(runs("s2"))
    assert await site.look() == DONE
    assert site.shown == "Deployed"


@pytest.mark.parametrize(("wanted", "told"), [(3, "s1"), (3, "s2"), (1, "s1")], ids=["first", "in between", "same"])
async def test_after_two_edits_in_a_row_a_status_of_an_earlier_version_is_not_believed(
    site: Site, wanted: int, told: str
) -> None:
    await site.deployed("s1")
    before = len(site.writer.reasons)
    for generation, image in ((2, 2), (3, wanted)):
        site.application(image, generation=generation)
        await site.look()
    site.push(runs(told))
    await site.look()
    assert "Deployed" not in site.writer.reasons[before:]
    site.wadm.told = runs(f"s{wanted}")
    await site.look_in(5.0)
    assert site.shown == "Deployed"


async def test_a_status_from_before_two_edits_is_not_believed_however_late_it_comes(site: Site) -> None:
    await site.deployed("s1")
    before = len(site.writer.reasons)
    for image in (2, 3):
        site.application(image, generation=image)
        await site.look()
    site.wadm.told = runs("s1")
    await site.look_in(20.0)
    assert "Deployed" not in site.writer.reasons[before:]
    site.push(runs("s3"))
    await site.look()
    assert site.shown == "Deployed"


async def test_after_a_deploy_whose_answer_was_lost_a_status_of_the_former_version_is_not_believed(site: Site) -> None:
    await site.deployed("s1")
    before = len(site.writer.reasons)
    site.application(2, generation=2)
    site.wadm.fails["deploy"] = WadmTransient("no answer")
    await site.look()
    site.wadm.fails.clear()
    await site.look()
    site.push(runs("s1"))
    await site.look()
    assert "Deployed" not in site.writer.reasons[before:]
    site.push(runs("s2"))
    await site.look()
    assert site.shown == "Deployed"


async def test_while_wadm_is_seen_to_be_slow_a_status_of_any_version_is_not_believed(site: Site) -> None:
    await site.deployed("s1")
    ledger, since = site.lattice.ledger, site.clock.monotonic()

    def slow(what: str) -> None:
        if what == "status":
            slow_one = Deploying(since - 15.0, former=frozenset({"x"}), distinct=True)
            ledger.record("other", Entry("v", "v", deploying=slow_one))

    site.wadm.on_ask = slow
    site.application(instances=2, generation=2)
    await site.look()
    before = len(site.writer.reasons)
    assert await site.look_in(5.0) == Result.waiting(PUSH, 2.0)
    assert (site.wadm.asked[-1], site.writer.reasons[before:]) == ("status", [])


async def test_a_status_that_no_push_and_no_list_brought_is_asked_for(site: Site) -> None:
    await site.deployed("s1")
    site.lattice.ledger = Ledger("one", clock=site.clock)
    site.lattice.ledger.not_listed()
    assert await site.look() == DONE
    assert (site.wadm.asked[-1], site.wadm.written, site.shown) == ("status", [], "Deployed")


# --- what wadm does nothing about -------------------------------------------------------------------------------------


async def test_a_version_that_wadm_neglects_is_deployed_once_more_where_hosts_are(site: Site) -> None:
    await site.look()
    site.push(IDLE)
    again = await site.look()
    assert again.requeue_after == 5.0
    site.wadm.asked.clear()
    assert (await site.look_in(1.0)).requeue_after == 4.0
    assert site.wadm.written == []
    again = await site.look_in(4.0)
    assert site.wadm.written == ["deploy"]
    assert site.events[-1] == "DeployedAgain"
    assert again.requeue_after == site.lattice.ledger.lag


@pytest.mark.parametrize(("synced", "seconds"), [(True, None), (False, 5.0)])
async def test_without_hosts_wadm_is_left_alone_and_hosts_are_waited_for_until_all_are_known(
    site: Site, synced: bool, seconds: float | None
) -> None:
    site.lattice.hosts = SimpleNamespace(hosts={}, synced=synced)
    await site.look()
    site.push(IDLE)
    site.wadm.asked.clear()
    assert (await site.look()).requeue_after == seconds
    assert (await site.look_in(20.0)).requeue_after == seconds
    assert site.wadm.written == []


# --- what wadm does not take ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["put", "deploy"])
async def test_a_refusal_of_wadm_is_noted_until_it_accepts(site: Site, step: str) -> None:
    site.wadm.fails[step] = WadmRejected("as things are, no")
    assert (await site.look()).requeue_after == 60.0
    assert site.shown == f"{step.capitalize()}Rejected"
    assert site.places.refused(cast("Any", site.lattice)) == [KEY]
    assert site.places.refused(cast("Any", Lattice(site.clock))) == []
    site.wadm.fails.clear()
    await site.look()
    assert site.places.refused(cast("Any", site.lattice)) == []


async def test_whose_name_is_taken_is_noted_until_it_is_free(site: Site) -> None:
    await site.deployed("s1")
    version, manifest = next(iter(site.wadm.versions_held.items()))
    theirs = {**manifest["metadata"]["annotations"], OWNER_CLUSTER: "c2", OWNER_UID: "u2"}
    site.wadm.versions_held[version] = {**manifest, "metadata": {"name": "shop", "annotations": theirs}}
    site.listed()
    site.application(2, generation=2)
    await site.look()
    assert site.shown == "Conflict"
    assert site.places.refused(cast("Any", site.lattice)) == [KEY]
    assert site.wadm.written == []


async def test_a_wadm_that_fails_is_asked_again_later_each_time_and_soon_after_it_did_not_fail(site: Site) -> None:
    site.wadm.fails["deploy"] = WadmTransient("busy")
    assert [(await site.look()).requeue_after for _ in range(3)] == [0.2, 0.4, 0.8]
    assert site.shown == "WadmTransient"
    site.wadm.fails.clear()
    await site.deployed()
    site.application(2, generation=2)
    site.wadm.fails["put"] = WadmTransient("busy")
    assert (await site.look()).requeue_after == 0.2


async def test_a_name_is_in_hand_for_as_long_as_a_look_takes(site: Site) -> None:
    assert site.lattice.ledger.acquire("shop", waiter="another", wake=lambda: None)
    assert await site.look() == Result.waiting("another change of the same name in lattice one to end")
    assert site.wadm.asked == []
    site.lattice.ledger.release("shop")
    assert site.woken == [KEY]
    site.wadm.fails["put"] = WadmTransient("busy")
    await site.look()
    assert site.lattice.ledger.acquire("shop", waiter="another", wake=lambda: None)


# --- what is left -----------------------------------------------------------------------------------------------------


async def test_a_departure_that_fails_is_tried_again_at_growing_intervals(site: Site) -> None:
    site.application(status=site.left("former"))
    first = await site.look()
    assert first == Result.waiting("its removal from lattice former", 0.2), "sooner than wadm's word"
    assert site.shown == "Deploying", "the status of the new lattice does not wait"
    site.push(runs("s1"))
    assert [(await site.look()).requeue_after for _ in range(2)] == [0.4, 0.8]
    site.application(2, generation=2)
    seconds = [(await site.look()).requeue_after for _ in range(5)]
    assert max(cast("list[float]", seconds)) <= site.lattice.ledger.lag, "wadm's word is not waited for longer"


async def test_a_lattice_of_a_pools_nats_system_is_left_by_its_name(site: Site) -> None:
    former = LatticeRoute(site.lattice.route.spec, "former")
    asked = list[LatticeRoute]()
    site.places.pools.lattices.hold = lambda _, route: asked.append(route)
    item = site.store[KEY]
    assert site.places.departing(item, Place("former", "pool", former.identity.id)) is None
    assert site.places.departing(item, Place("former", "pool", "of another system")) is None
    assert asked == [former]


async def test_a_lattice_that_was_left_is_held_no_longer(site: Site) -> None:
    former = Lattice(site.clock, "nats://b:4222", "former")
    site.places.hold(KEY, cast("Any", former))
    await site.deployed("s1")
    assert set(cast("Any", site.places.pools.lattices).held.values()) == {site.lattice}
    assert "Moved" in site.events


async def test_of_an_application_that_is_gone_the_lattices_that_it_was_leaving_are_held_no_longer(site: Site) -> None:
    former = Lattice(site.clock, "nats://b:4222", "former", reach=Reach.LOST)
    site.places.hold(KEY, cast("Any", former))
    await site.look()
    held = cast("Any", site.places.pools.lattices).held
    assert set(held.values()) == {site.lattice, former}
    del site.store[KEY]
    await site.look()
    assert held == {}


async def test_versions_are_shown_as_they_were_read_unless_the_list_has_another_one(site: Site) -> None:
    await site.deployed("s1")
    site.listed()
    await site.look()
    version = list(site.wadm.versions_held)
    assert site.writer.fields[-1]["versions"] == version
    site.wadm.versions_held["on top"] = {}
    site.listed()
    await site.look()
    assert "versions" not in site.writer.fields[-1]
    assert site.wadm.asked == []
