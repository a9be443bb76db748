"""What is believed of wadm's applications after lists, pushes, breaks and changes of our own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.lattice.content import Content, Owner, to_manifest
from wasmcloud_operator.lattice.deploying import Deploying, begin
from wasmcloud_operator.lattice.ledger import Entry, Ledger, ListState, Stale
from wasmcloud_operator.lattice.wadm_events import ManifestPublished, ManifestUnpublished, StatusPushed
from wasmcloud_operator.lattice.wadm_types import LISTED_LIMIT, AppStatus, ModelSummary, StatusType

ME, OTHER = Owner("c1", "ns", "app", "u1"), Owner("c2", "ns", "app", "u2")
WANTED = Content(
    name="app", annotations={}, labels={}, spec={"components": []}, declared_version="1.0", digest="d" * 64
)
FITS: dict[str, Any] = {"deployed": "1.0", "newest": "1.0", "owner": ME, "digest": WANTED.digest}


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def ledger(clock: VirtualClock) -> Ledger:
    return Ledger("default", clock=clock)


def summary(name: str = "app", version: str = "v", deployed: str = "v", word: str = "deployed") -> ModelSummary:
    return ModelSummary.model_validate(
        {"name": name, "version": version, "deployed_version": deployed, "status": {"type": word}}
    )


def status(word: str, *ids: str) -> AppStatus:
    scalers = [{"id": id_, "status": {"type": word}} for id_ in ids]
    return AppStatus.model_validate({"status": {"type": word}, "scalers": scalers})


def pushed(word: str, *ids: str) -> StatusPushed:
    return StatusPushed("app", status(word, *ids))


def test_a_list_reports_only_what_is_new(ledger: Ledger) -> None:
    listed = ledger.take_list([summary("b"), summary("a")], "connection")
    assert (listed.news, listed.anew, listed.changed) == ({"a", "b"}, True, True)
    listed = ledger.take_list([summary("a"), summary("b")], "resync")
    assert (listed.news, listed.anew, listed.changed) == (frozenset(), False, False)
    assert ledger.take_list([summary("a", word="failed")], "resync").news == {"a", "b"}
    assert ledger.deployed("b") == ""
    assert ledger.take_list([summary("a", version="w", word="failed")], "resync").news == {"a"}
    assert ledger.deployed("a") is None, "wadm has to be asked"
    assert ledger.deployed_versions == {"a": "v"}


def test_a_list_changes_nothing_of_applications_in_hand_unless_nothing_is_certain(ledger: Ledger) -> None:
    ledger.take_list([summary("a"), summary("b"), summary("c")], "connection")
    assert ledger.acquire("a", waiter="a", wake=list)
    ledger.record("b", Entry(deployed="v", newest="v", deploying=Deploying(1.0, frozenset({"x"}), distinct=True)))
    assert ledger.take_list([], "resync").news == {"c"}
    old = [summary("a", version="old"), summary("b", version="old")]
    assert ledger.take_list(old, "resync").news == frozenset()
    ledger.lost()
    assert ledger.take_list([], "connection").news == {"a", "b"}


def test_a_list_because_of_pushes_adds_nothing_to_them(ledger: Ledger) -> None:
    ledger.take_list([summary()], "connection")
    assert ledger.take_list([], "pushes").news == frozenset()
    assert ledger.deployed("app") == "v"


def test_an_entry_from_before_a_break_counts_again_when_it_is_listed(ledger: Ledger) -> None:
    for name in ("a", "b"):
        ledger.record(name, Entry(**FITS))
    ledger.lost()
    assert ledger.listing is ListState.AWAITED
    ledger.not_listed()
    assert {entry.stale for entry in ledger.entries.values()} == {Stale.NOT_LISTED}
    listed = [summary("a", version="1.0", deployed="1.0"), summary("b", version="1.1", deployed="1.0")]
    ledger.take_list(listed, "connection")
    assert ledger.entries["a"].holds(WANTED, ME, deployed=True)
    assert not ledger.entries["b"].holds(WANTED, ME, deployed=True)


def test_only_an_entry_that_fits_in_everything_holds_a_content() -> None:
    assert Entry(**FITS).holds(WANTED, ME, deployed=True)
    assert Entry(**{**FITS, "deployed": f"1.0+{WANTED.short_digest}"}).holds(WANTED, ME, deployed=True)
    assert Entry(**{**FITS, "deployed": ""}).holds(WANTED, ME, deployed=False)
    assert not Entry(**FITS).holds(WANTED, ME, deployed=False)
    misfits = ({"deployed": ""}, {"deployed": "2.0"}, {"owner": OTHER}, {"digest": "x"}, {"stale": Stale.CHANGED})
    for change in misfits:
        assert not Entry(**{**FITS, **change}).holds(WANTED, ME, deployed=True)


def test_a_status_of_an_earlier_life_counts_only_for_the_same_version_and_content(ledger: Ledger) -> None:
    for version, digest, taken in (("v", WANTED.digest, True), ("w", WANTED.digest, False), ("v", "x", False)):
        ledger.record("app", Entry(deployed="v", newest="v"))
        ledger.remember("app", WANTED, ME, version=version, digest=digest, deploying=False)
        assert (ledger.entries["app"].owner == ME) is taken


@pytest.mark.parametrize(
    ("former", "distinct", "latest"),
    [
        (None, True, status("deployed", "new")),
        ({"old"}, True, status("deployed", "new")),
        ({"old"}, True, status("reconciling", "new", "other")),
    ],
    ids=["nothing ran before", "other ids", "more ids"],
)
def test_a_status_that_can_only_be_of_the_new_version_counts_at_once(
    ledger: Ledger, former: set[str] | None, distinct: bool, latest: AppStatus
) -> None:
    deploying = Deploying(0.0, frozenset(former) if former else None, distinct)
    ledger.record("app", Entry(deployed="v", newest="v", deploying=deploying))
    assert ledger.take_event(StatusPushed("app", latest))
    assert ledger.status("app") == latest
    assert not ledger.take_event(StatusPushed("app", latest))


async def test_a_late_status_of_the_former_version_is_not_taken_for_the_new_one(
    ledger: Ledger, clock: VirtualClock
) -> None:
    ledger.record(
        "app",
        Entry(deployed="v", newest="v", deploying=Deploying(clock.monotonic(), frozenset({"old"}), distinct=True)),
    )
    await clock.advance(20.0)
    assert not ledger.take_event(pushed("deployed", "old"))
    assert ledger.status("app") is None
    assert ledger.lag > 20.0, "so late is this wadm"
    assert ledger.take_event(pushed("deployed", "new"))
    assert ledger.lag > 20.0
    await clock.advance(200.0)
    assert ledger.lag == 5.0, "that was long ago"


async def test_where_ids_are_the_same_time_decides(ledger: Ledger, clock: VirtualClock) -> None:
    ledger.record(
        "app",
        Entry(deployed="v", newest="v", deploying=Deploying(clock.monotonic(), frozenset({"same"}), distinct=False)),
    )
    assert not ledger.take_event(pushed("deployed", "same"))
    await clock.advance(5.0)
    assert ledger.take_event(pushed("deployed", "same"))


async def test_where_wadm_names_no_scalers_time_decides(ledger: Ledger, clock: VirtualClock) -> None:
    shape = frozenset({("web", "x/web:2")})
    former, no_ids = status("deployed"), frozenset[str]()
    begun = begin(clock.monotonic(), shape, former=former, former_shape=None, pending=None, again=False)
    assert (begun.former, begun.shows_lag) == (no_ids, False)
    ledger.record("app", Entry(deployed="v", newest="v", deploying=begun))
    assert not ledger.take_event(pushed("deployed")), "that is of the former version, as far as is known"
    await clock.advance(4.0)
    assert ledger.lag == 5.0, "a wadm that cannot show it is not late"
    assert not ledger.take_event(pushed("deployed"))
    await clock.advance(1.0)
    assert ledger.take_event(pushed("deployed"))


def test_after_a_status_without_scalers_one_with_some_is_of_the_new_version(ledger: Ledger) -> None:
    begun = begin(
        0.0, frozenset(), former=status("failed"), former_shape=frozenset({("a", "b")}), pending=None, again=False
    )
    ledger.record("app", Entry(deployed="v", newest="v", deploying=begun))
    assert ledger.take_event(pushed("deployed", "new"))


@pytest.mark.parametrize("word", ["waiting", "undeployed"])
def test_where_nothing_ran_the_first_status_is_of_the_new_version(ledger: Ledger, word: str) -> None:
    begun = begin(0.0, frozenset(), former=status(word), former_shape=None, pending=None, again=False)
    assert begun.former is None
    ledger.record("app", Entry(deployed="v", newest="v", deploying=begun))
    assert ledger.take_event(pushed("deployed"))


async def test_a_status_that_never_shows_the_new_version_counts_in_the_end(ledger: Ledger, clock: VirtualClock) -> None:
    ledger.record(
        "app",
        Entry(deployed="v", newest="v", deploying=Deploying(clock.monotonic(), frozenset({"same"}), distinct=True)),
    )
    await clock.advance(60.0)
    ledger.answered("app", status("deployed", "same"))
    assert ledger.status("app") is not None


def test_a_push_of_an_unknown_application_changes_nothing(ledger: Ledger) -> None:
    assert not ledger.take_event(pushed("failed"))


def test_waiting_has_one_wording(ledger: Ledger) -> None:
    ledger.take_list([summary(word="undeployed")], "connection")
    latest = ledger.status("app")
    assert latest is not None
    assert latest.info.type is StatusType.WAITING
    assert ledger.take_list([summary(word="waiting")], "resync").news == frozenset()


def test_only_what_is_not_ours_makes_a_published_manifest_doubtful(ledger: Ledger) -> None:
    ledger.record("app", Entry(**FITS))
    assert not ledger.take_event(ManifestPublished("app", to_manifest(WANTED, "1.0", ME)))
    assert ledger.deployed("app") == "1.0"
    assert ledger.take_event(ManifestPublished("app", to_manifest(WANTED, "1.0", OTHER)))
    assert ledger.deployed("app") is None
    assert ledger.take_event(ManifestPublished("new", to_manifest(WANTED, "1.0", OTHER)))


def test_made_up_applications_take_a_bounded_place_and_leave_no_false_absence(ledger: Ledger) -> None:
    ledger.take_list((), "connection")
    for number in range(LISTED_LIMIT + 5):
        assert ledger.take_event(ManifestPublished(f"made-up-{number}", {}))
    assert len(ledger.entries) == LISTED_LIMIT
    assert ledger.deployed(f"made-up-{LISTED_LIMIT + 1}") is None, "wadm has to be asked"
    ledger.take_list((), "connection")
    assert (len(ledger.entries), ledger.deployed("made-up-1")) == (0, "")


def test_unpublished_is_a_reason_to_look_where_something_was_deployed(ledger: Ledger) -> None:
    ledger.record("app", Entry(deployed="v", newest="v"))
    ledger.record("idle", Entry(deployed="", newest="v"))
    assert ledger.take_event(ManifestUnpublished("app"))
    assert ledger.deployed("app") is None
    assert not ledger.take_event(ManifestUnpublished("idle"))
    assert not ledger.entries["idle"].certain, "for whomever it stood in the way of"
    assert not ledger.take_event(ManifestUnpublished("unknown"))


def test_whoever_waits_is_woken_and_one_name_is_in_one_hand(ledger: Ledger) -> None:
    woken: list[str] = []

    def acquire(waiter: str) -> bool:
        return ledger.acquire(waiter.partition("/")[2], waiter=waiter, wake=lambda: woken.append(waiter))

    assert acquire("a/app")
    assert not acquire("b/app")
    others = [f"a/app-{number}" for number in range(20)]
    in_hand = [waiter for waiter in others if acquire(waiter)]
    assert len(in_hand) == 15
    ledger.release("app")
    assert woken == ["b/app"], "one place is free"
    # The woken one is gone and never comes: the last to leave wakes all that wait.
    for waiter in in_hand:
        ledger.release(waiter.partition("/")[2])
    assert set(woken) == {"b/app", *others} - set(in_hand)


def test_an_owner_is_who_has_its_uid(ledger: Ledger) -> None:
    assert ME.is_same(Owner("another id of the cluster", "ns", "app", "u1"))
    assert not ME.is_same(Owner("c1", "ns", "app", "u3")), "the name was given anew"
    assert ME.is_same(Owner("c1", "ns", "app")), "put before owners had a uid"
    assert not ME.is_same(Owner("c2", "ns", "app"))
    assert not ME.is_same(None)


async def test_a_version_that_wadm_does_nothing_about_is_due_again_three_times(
    ledger: Ledger, clock: VirtualClock
) -> None:
    entry = ledger.record("app", Entry(**FITS))
    assert entry.repeat_at is None, "no status yet"
    for repeats, seconds in enumerate((20.0, 60.0, 180.0)):
        entry = ledger.record("app", replace(entry, repeats=repeats, idle_since=None))
        entry = ledger.answered("app", status("undeployed"))
        due = clock.monotonic() + seconds
        assert entry.repeat_at == due
        await clock.advance(1.0)
        ledger.take_event(pushed("waiting"))
        assert ledger.entries["app"].repeat_at == due, "one more word of the same puts nothing off"
    ledger.record("app", replace(entry, repeats=3))
    assert ledger.entries["app"].repeat_at is None


@pytest.mark.parametrize("word", ["waiting", "undeployed", "failed", "deployed"])
def test_a_version_with_scalers_is_at_work(ledger: Ledger, word: str) -> None:
    ledger.record("app", Entry(**FITS))
    ledger.answered("app", status("undeployed"))
    assert ledger.answered("app", status(word, "a")).repeat_at is None


def test_a_version_listed_as_waiting_after_a_start_is_due_again(ledger: Ledger, clock: VirtualClock) -> None:
    ledger.take_list([summary(word="waiting"), summary("other", deployed="", word="undeployed")], "connection")
    assert ledger.entries["app"].repeat_at == clock.monotonic() + 20.0
    assert ledger.entries["other"].repeat_at is None
