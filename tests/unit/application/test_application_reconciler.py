"""What a look at an Application comes to: what is asked and written, what is shown, and when it is looked at again."""

from __future__ import annotations

from typing import Any, cast

import pytest
from msgspec.structs import replace

from support.sites.reconciled_application import KEY, PUSH, Json, Lattice, Site, runs
from wasmcloud_operator.application.place import Place, as_annotation, first_place
from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.kube.errors import WritesForbidden
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.connection_types import ConnectionPhase
from wasmcloud_operator.lattice.content import OWNER_CLUSTER, OWNER_UID
from wasmcloud_operator.lattice.deploying import Deploying
from wasmcloud_operator.lattice.errors import WadmRejected, WadmTransient
from wasmcloud_operator.lattice.ledger import Entry, Ledger
from wasmcloud_operator.names import DELETION_POLICY, is_orphan

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


@pytest.mark.parametrize(("phase", "shown"), [(ConnectionPhase.CONNECTING, []), (ConnectionPhase.LOST, ["Lost"])])
async def test_a_lattice_that_is_out_of_reach_is_shown_one_that_is_being_reached_is_not(
    site: Site, phase: ConnectionPhase, shown: list[str]
) -> None:
    site.lattice.phase = phase
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
    assert site.selector.held(KEY) is not None
    del site.store[KEY]
    assert await site.look() == DONE
    assert site.selector.held(KEY) is None


# --- what is written --------------------------------------------------------------------------------------------------


async def test_before_the_first_put_its_lattice_is_written_down_and_the_deletion_can_wait_for_it(site: Site) -> None:
    def look(what: str) -> None:
        if what == "put":
            assert site.store[KEY].metadata.finalizers == ("ours",)
            assert site.selector.held(KEY) is site.lattice
            assert first_place(site.store[KEY]) == Place("one", "pool", site.lattice.identity.id)
            assert site.store[KEY].status is None, "one write is enough"

    site.wadm.on_ask = look
    await site.look()
    assert site.wadm.written == ["put", "deploy"]


@pytest.mark.parametrize("often", [False, True])
async def test_where_somebody_takes_the_finalizer_away_the_status_has_the_lattice_before_the_put(
    site: Site, often: bool
) -> None:
    site.writer.stripped, site.writer.often = True, often

    def look(what: str) -> None:
        if what == "put":
            assert cast("Json", site.store[KEY].status)["latticeId"] == site.lattice.identity.id

    site.wadm.on_ask = look
    await site.look()
    assert site.wadm.written == ["put", "deploy"]


async def test_an_operator_that_dies_after_its_first_put_leaves_the_next_one_the_way_to_it(site: Site) -> None:
    former = Lattice(site.clock, "nats://b:4222", "former")
    site.application(first_place=as_annotation(Place("former", "pool", former.identity.id), "u1"))
    await site.look()
    assert [one["lattice"] for one in cast("Json", site.store[KEY].status)["leaving"]] == ["former"]


async def test_before_a_put_the_lattices_that_are_left_for_it_are_shown(site: Site) -> None:
    former = Lattice(site.clock, "nats://b:4222", "former")
    site.selector.hold(KEY, cast("Any", former))  # on the way there it was called back
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


async def test_a_word_in_an_annotation_counts_in_whichever_case(site: Site) -> None:
    site.application(undeploy="True")
    await site.look()
    assert site.wadm.written == ["put"]
    site.application(paused="TRUE")
    await site.look()
    assert site.shown == "Paused"
    assert is_orphan({DELETION_POLICY: "orphan"}), "or the application would be lost"
    assert not is_orphan({DELETION_POLICY: "Delete"})


async def test_a_status_that_a_restore_brought_from_another_cluster_makes_nobody_the_owner(site: Site) -> None:
    await site.deployed("s1")
    for manifest in site.wadm.versions_held.values():
        manifest["metadata"]["annotations"] |= {OWNER_CLUSTER: "c2", OWNER_UID: "u2"}
    site.listed()
    copied = as_annotation(Place("one", "pool", site.lattice.identity.id), "u2")
    site.application(first_place=copied)
    await site.look()
    assert (site.shown, site.wadm.written) == ("Conflict", [])


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


async def test_a_deploy_is_shown_as_one_status_if_wadm_reports_it_soon(site: Site) -> None:
    assert await site.look() == Result.waiting(PUSH, 2.0)
    shown = list(site.writer.reasons)
    site.push(runs("s1"))
    assert await site.look() == DONE
    assert site.writer.reasons == [*shown, "Deployed"]


async def test_a_deploy_that_wadm_does_not_report_is_shown_and_then_asked_for(site: Site) -> None:
    await site.look()
    before = len(site.writer.reasons)
    assert await site.look_in(3.0) == Result.waiting(PUSH, 2.0)
    assert site.writer.reasons[before:] == ["Deploying"]
    assert "status" not in site.wadm.asked
    site.wadm.pushed = runs("s1")
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


@pytest.mark.parametrize(("wanted", "pushed"), [(3, "s1"), (3, "s2"), (1, "s1")], ids=["first", "in between", "same"])
async def test_after_two_edits_in_a_row_a_status_of_an_earlier_version_is_not_believed(
    site: Site, wanted: int, pushed: str
) -> None:
    await site.deployed("s1")
    before = len(site.writer.reasons)
    for generation, image in ((2, 2), (3, wanted)):
        site.application(image, generation=generation)
        await site.look()
    site.push(runs(pushed))
    await site.look()
    assert "Deployed" not in site.writer.reasons[before:]
    site.wadm.pushed = runs(f"s{wanted}")
    await site.look_in(5.0)
    assert site.shown == "Deployed"


async def test_a_status_from_before_two_edits_is_not_believed_however_late_it_comes(site: Site) -> None:
    await site.deployed("s1")
    before = len(site.writer.reasons)
    for image in (2, 3):
        site.application(image, generation=image)
        await site.look()
    site.wadm.pushed = runs("s1")
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
            ledger.record("other", Entry(deployed="v", newest="v", deploying=slow_one))

    site.wadm.on_ask = slow
    site.application(instances=2, generation=2)
    await site.look()
    before = len(site.writer.reasons)
    assert await site.look_in(5.0) == Result.waiting(PUSH, 2.0)
    assert (site.wadm.asked[-1], site.writer.reasons[before:]) == ("status", [])


@pytest.mark.parametrize("shown", [True, False], ids=["its status says so", "before its status says so"])
async def test_a_list_after_a_restart_in_the_midst_of_a_deploy_may_have_the_former_versions_status(
    site: Site, shown: bool
) -> None:
    await site.deployed("first")
    site.application(2, generation=2)
    await site.look()
    if shown:
        await site.look_in(2.0)
        assert site.shown == "Deploying"
    site.listed("deployed")
    for _ in range(2):
        again = await site.look_in(1.0)
        assert (site.shown == "Deploying") is shown
        assert again.waits_for == PUSH
    site.wadm.pushed = runs("second")
    assert await site.look_in(5.0) == DONE
    assert site.shown == "Deployed"
    assert site.wadm.written == ["put", "deploy"]


async def test_a_restart_shows_nothing_else_of_what_ran_before(site: Site) -> None:
    await site.deployed("first")
    site.listed("deployed")
    site.writer.reasons.clear()
    assert await site.look() == DONE
    assert site.writer.reasons == ["Deployed"]


async def test_a_status_that_no_push_and_no_list_brought_is_asked_for(site: Site) -> None:
    await site.deployed("s1")
    site.lattice.ledger = Ledger("one", clock=site.clock)
    site.lattice.ledger.not_listed()
    assert await site.look() == DONE
    assert (site.wadm.asked[-1], site.wadm.written, site.shown) == ("status", [], "Deployed")
