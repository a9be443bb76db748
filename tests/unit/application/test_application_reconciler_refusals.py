"""The reconciler of Applications where wadm refuses, neglects or has to be left."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace

from support.sites.reconciled_application import IDLE, KEY, Json, Lattice, Site, Store, runs, spec
from wasmcloud_operator.application.naming import FINALIZER
from wasmcloud_operator.application.place import Place, as_annotation
from wasmcloud_operator.kube.controller import Result
from wasmcloud_operator.kube.errors import Forbidden, NotFound, Unreachable
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.connection_types import ConnectionPhase
from wasmcloud_operator.lattice.content import OWNER_CLUSTER, OWNER_UID
from wasmcloud_operator.lattice.errors import WadmRejected, WadmTransient
from wasmcloud_operator.lattice.identity import LatticeRoute
from wasmcloud_operator.names import FIRST_PLACE

# --- what wadm does nothing about -------------------------------------------------------------------------------------


async def test_a_version_that_wadm_neglects_is_deployed_once_more_where_hosts_are(site: Site) -> None:
    await site.look()
    site.push(IDLE)
    again = await site.look()
    assert again.requeue_after == 20.0
    site.wadm.asked.clear()
    assert (await site.look_in(5.0)).requeue_after == 15.0
    assert site.wadm.written == []
    again = await site.look_in(15.0)
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
    assert site.selector.refused(cast("Any", site.lattice)) == [KEY]
    assert site.selector.refused(cast("Any", Lattice(site.clock))) == []
    site.wadm.fails.clear()
    await site.look()
    assert site.selector.refused(cast("Any", site.lattice)) == []


def found(site: Site, *, version: str = "v1", image: int = 1, **owner: str) -> None:
    """Have wadm run an application of that name, which it knows by a list."""
    labels = {f"k8s.wasmcloud.dev/owner-{name}": value for name, value in owner.items()}
    metadata = {"name": "shop", "annotations": {"version": version, **labels}}
    site.wadm.versions_held = {version: {"metadata": metadata, "spec": spec(image)}}
    site.wadm.running = version
    site.listed()


@pytest.mark.parametrize("step", ["put", "deploy"])
async def test_an_adoption_is_reported_once_when_wadm_has_taken_it_however_often_it_refuses(
    site: Site, step: str
) -> None:
    found(site, image=2)
    site.wadm.fails[step] = WadmRejected("as things are, no")
    for _ in range(3):
        await site.look_in(60.0)
    assert site.events.count("Adopted") == (step == "deploy"), "what is not stored is nobody's yet"
    site.wadm.fails.clear()
    for _ in range(3):
        await site.look_in(60.0)
    assert site.events.count("Adopted") == 1


@pytest.mark.parametrize("step", ["put", "deploy"])
async def test_a_version_that_stands_for_other_content_is_reported_once_however_often_wadm_refuses(
    site: Site, step: str
) -> None:
    for image in (1, 2):
        site.application(image, generation=image)
        now = site.store[KEY]
        site.store[KEY] = replace(now, metadata=replace(now.metadata, annotations={"version": "v1"}))
        if image == 1:
            await site.deployed("s1")
    site.wadm.fails[step] = WadmRejected("as things are, no")
    for _ in range(3):
        await site.look_in(60.0)
    assert site.events.count("VersionReused") == (step == "deploy"), "what is not stored has no other version yet"
    site.wadm.fails.clear()
    for _ in range(3):
        await site.look_in(60.0)
    assert site.events.count("VersionReused") == 1


@pytest.mark.parametrize("fails", [{}, {"deploy": WadmRejected("no")}, {"deploy": WadmTransient("busy")}], ids=len)
async def test_the_same_content_is_inherited_once_though_its_manifest_names_the_former_owner_on(
    site: Site, fails: dict[str, Exception]
) -> None:
    await site.deployed("s1")
    (version,) = site.wadm.versions_held
    found(site, version=version, cluster="c1", namespace="there", name="shop", uid="gone")
    site.wadm.running = "" if fails else version
    site.listed()
    site.store[KEY] = replace(site.store[KEY], status=None)
    site.wadm.fails = fails
    await site.look()
    assert site.events.count("Adopted") == 1
    site.wadm.fails = {}
    for _ in range(3):
        site.lattice.ledger.doubt("shop")
        await site.look_in(60.0)
    assert "put" not in site.wadm.asked
    assert site.events.count("Adopted") == 1


async def test_whose_name_is_taken_is_noted_until_it_is_free(site: Site) -> None:
    await site.deployed("s1")
    version, manifest = next(iter(site.wadm.versions_held.items()))
    theirs = {**manifest["metadata"]["annotations"], OWNER_CLUSTER: "c2", OWNER_UID: "u2"}
    site.wadm.versions_held[version] = {**manifest, "metadata": {"name": "shop", "annotations": theirs}}
    site.listed()
    site.application(2, generation=2)
    await site.look()
    assert site.shown == "Conflict"
    assert site.selector.refused(cast("Any", site.lattice)) == [KEY]
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
    site.selector.pools.lattices.hold = lambda _, route: asked.append(route)
    item = site.store[KEY]
    assert site.selector.departing(item, Place("former", "pool", former.identity.id)) is None
    assert site.selector.departing(item, Place("former", "pool", "of another system")) is None
    assert asked == [former]


async def test_a_lattice_that_was_left_is_held_no_longer(site: Site) -> None:
    former = Lattice(site.clock, "nats://b:4222", "former")
    site.selector.hold(KEY, cast("Any", former))
    await site.deployed("s1")
    assert set(cast("Any", site.selector.pools.lattices).held.values()) == {site.lattice}
    assert "Moved" in site.events


@pytest.mark.parametrize("phase", [ConnectionPhase.CONNECTED, ConnectionPhase.LOST])
async def test_an_application_that_a_move_leaves_on_purpose_is_noted_and_stays_in_the_former_wadm(
    site: Site, phase: ConnectionPhase
) -> None:
    former = Lattice(site.clock, "nats://b:4222", "former", phase=phase)
    former.wadm.running = "v1"
    site.selector.hold(KEY, cast("Any", former))
    site.application(deletion_policy="Orphan")
    await site.look()
    assert site.noted == [("u1", "former")]
    assert former.wadm.asked == []
    assert site.events.count("Orphaned") == 1
    assert "leaving" not in cast("Json", site.store[KEY].status)
    assert set(cast("Any", site.selector.pools.lattices).held.values()) == {site.lattice}
    await site.look()
    assert (site.noted, site.events.count("Orphaned")) == ([("u1", "former")], 1)


async def test_a_lattice_is_not_left_on_purpose_before_that_is_noted(site: Site) -> None:
    site.application(status=site.left("former"), deletion_policy="Orphan")
    site.on_note = Unreachable("the API server is away")
    with pytest.raises(Unreachable):
        await site.look()
    assert [one["lattice"] for one in cast("Json", site.store[KEY].status)["leaving"]] == ["former"]
    assert (site.noted, site.events) == ([], ["Deployed"])
    site.on_note = None
    await site.look()
    assert (site.noted, site.events.count("Orphaned")) == ([("u1", "former")], 1)
    assert "leaving" not in cast("Json", site.store[KEY].status)


async def test_of_an_application_that_is_gone_the_lattices_that_it_was_leaving_are_held_no_longer(site: Site) -> None:
    former = Lattice(site.clock, "nats://b:4222", "former", phase=ConnectionPhase.LOST)
    site.selector.hold(KEY, cast("Any", former))
    await site.look()
    held = cast("Any", site.selector.pools.lattices).held
    assert set(held.values()) == {site.lattice, former}
    del site.store[KEY]
    await site.look()
    assert held == {}


# --- the finalizer ----------------------------------------------------------------------------------------------------


def invalid(site: Site) -> None:
    item = site.store[KEY]
    edited = replace(item.metadata, generation=2)
    site.store[KEY] = replace(item, metadata=edited, spec={"components": [{"name": "web"}]})


def unreachable(site: Site) -> None:
    site.lattice.phase = ConnectionPhase.LOST


def without_host_config(site: Site) -> None:
    site.configs.clear()


def never_put(site: Site) -> None:
    site.store[KEY] = replace(site.store[KEY], status=site.left())


def restored(site: Site) -> None:
    item = site.store[KEY]
    copied = {FIRST_PLACE: as_annotation(Place("one", "pool", site.lattice.identity.id), "another-uid")}
    site.store[KEY] = replace(item, metadata=replace(item.metadata, annotations=copied))


@pytest.mark.parametrize(
    ("change", "held"),
    [(invalid, True), (unreachable, True), (without_host_config, True), (never_put, False), (restored, False)],
)
async def test_a_finalizer_that_was_taken_away_is_put_back_whatever_keeps_the_application_from_wadm(
    site: Site, change: Callable[[Site], None], held: bool
) -> None:
    await site.deployed("web")
    item = site.store[KEY]
    site.store[KEY] = replace(item, metadata=replace(item.metadata, annotations={}, finalizers=()))
    change(site)
    if not held:
        unreachable(site)
    await site.look()
    assert bool(site.store[KEY].metadata.finalizers) is held


# --- what is deleted while wadm is out of reach -----------------------------------------------------------------------


class NotFollowed:
    async def get(self, *_: Any) -> Any:
        raise NotFound(404, "NotFound", "namespaces cannot be read")


def going(site: Site, *, status: Json | None = None, **annotated: str) -> None:
    site.application(status=status, **annotated)
    item = site.store[KEY]
    deleted = {"deletion_timestamp": "2026-01-01T00:00:00Z", "finalizers": (FINALIZER,)}
    site.store[KEY] = replace(item, metadata=replace(item.metadata, **deleted))


@pytest.mark.parametrize(
    ("host_config", "lattice", "annotated", "let_go"),
    [
        pytest.param("pool", "one", {}, [], id="its host config is there"),
        pytest.param("former", "one", {}, [], id="another host config leads there"),
        pytest.param("former", "two", {}, [KEY], id="no host config leads there"),
        pytest.param("", "", {"host_config": "former"}, [KEY], id="it was put nowhere"),
        pytest.param("", "", {"host_config": "pool"}, [], id="it may have been put there"),
    ],
)
async def test_wadm_is_waited_for_while_any_host_config_leads_there(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    host_config: str,
    lattice: str,
    annotated: dict[str, str],
    let_go: list[Any],
) -> None:
    monkeypatch.setattr(site.deletion, "client", NotFollowed())
    site.lattice.phase = ConnectionPhase.LOST
    id_ = site.lattice.identity.id if lattice == "one" else "of another system"
    going(
        site,
        status={"lattice": lattice, "latticeId": id_, "hostConfig": host_config} if lattice else {},
        **annotated,
    )
    for _ in range(2):
        await site.look_in(61.0)
    assert site.writer.let_go == let_go
    assert site.shown == "DeletionBlocked"


async def test_a_host_config_that_is_replaced_while_wadm_is_waited_for_takes_nothing_along(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.deletion, "client", NotFollowed())
    site.lattice.phase = ConnectionPhase.LOST
    going(site, status={"lattice": "one", "latticeId": site.lattice.identity.id, "hostConfig": "pool"})
    for _ in range(3):
        await site.look_in(61.0)
    config = site.configs.pop(Key("here", "pool"))
    await site.look_in(1.0)
    assert site.writer.let_go == [], "it comes back in a moment"
    site.configs[config.metadata.key] = config
    await site.look_in(61.0)
    del site.configs[config.metadata.key]
    for seconds, let_go in ((1.0, []), (59.0, []), (1.0, [KEY])):
        await site.look_in(seconds)
        assert site.writer.let_go == let_go


async def test_wadm_is_waited_for_while_a_host_config_cannot_be_read(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "unreadable", frozenset({Key("here", "former")}))
    monkeypatch.setattr(site.deletion, "client", NotFollowed())
    site.lattice.phase = ConnectionPhase.LOST
    going(site, status={"lattice": "two", "latticeId": "of another system", "hostConfig": "former"})
    for _ in range(2):
        await site.look_in(61.0)
    assert site.writer.let_go == []


async def test_a_failure_is_shown_while_an_application_is_being_deleted(site: Site) -> None:
    going(site)
    await site.reconciler.report(KEY, Forbidden(403, "Forbidden", "configmaps"))
    assert site.writer.reasons == ["ReconcileFailed"]
    item = site.store[KEY]
    site.store[KEY] = replace(item, metadata=replace(item.metadata, finalizers=("of.others/one",)))
    await site.reconciler.report(KEY, Forbidden(403, "Forbidden", "configmaps"))
    assert site.writer.reasons == ["ReconcileFailed"], "what others still hold is none of ours"


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
