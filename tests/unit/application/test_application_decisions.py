"""What is decided without asking anybody: the lattice, the next steps in wadm, what is pruned, what a push means."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmcloud_operator.application import plan
from wasmcloud_operator.application.lattice_choice import Chosen, ConfiguredPool, NotChosen, choose
from wasmcloud_operator.application.manifest import Content, Owner, content_of, to_manifest
from wasmcloud_operator.application.plan import Conflict, Run, Stored
from wasmcloud_operator.application.view import Record, View
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.wadm_events import ManifestPublished, ManifestUnpublished, StatusPushed
from wasmcloud_operator.lattice.wadm_types import ModelSummary, Status, StatusType
from wasmcloud_operator.shared.pools import Pool

ME = Owner("c1", "ns", "app")
OTHER = Owner("c2", "ns", "app")


def content(version: str | None = None, image: str = "x:1") -> Content:
    annotations = {} if version is None else {"version": version}
    return content_of({"name": "app", "annotations": annotations}, {"components": [{"image": image}]})


@dataclass(frozen=True)
class Reached:
    """As much of a `Lattice` as the choice reads."""

    name: str
    system: str

    @property
    def identified(self) -> bool:
        return self.system != NEVER_UP


NEVER_UP = "never up"


def config(name: str, lattice: str, system: str | None = "a") -> ConfiguredPool:
    if system is None:
        return ConfiguredPool(name, lattice, None)
    pool = SimpleNamespace(key=Key("ns", name), lattice=Reached(lattice, system))
    return ConfiguredPool(name, lattice, cast("Pool", pool))


LATTICE, HOST_CONFIG = "k8s.wasmcloud.dev/lattice", "k8s.wasmcloud.dev/host-config"


@pytest.mark.parametrize(
    ("annotations", "configs", "expected"),
    [
        ({}, [], "NoHostConfig"),
        ({}, [config("a", "l")], "a"),
        ({}, [config("a", "l"), config("b", "l")], "a"),
        ({}, [config("a", "l"), config("b", "m")], "AmbiguousLattice"),
        ({}, [config("a", "l"), config("b", "m", None)], "AmbiguousLattice"),
        ({}, [config("a", "l"), config("b", "l", "b")], "AmbiguousLattice"),
        ({}, [config("a", "l", NEVER_UP), config("b", "l")], "b"),
        ({}, [config("a", "l", NEVER_UP), config("b", "l", NEVER_UP)], "a"),
        ({}, [config("a", "l", None)], "HostConfigNotReady"),
        ({}, [config("a", "l", None), config("b", "l")], "b"),
        ({LATTICE: "m"}, [config("a", "l"), config("b", "m")], "b"),
        ({LATTICE: "n"}, [config("a", "l"), config("b", "m")], "NoHostConfig"),
        ({HOST_CONFIG: "b"}, [config("a", "l"), config("b", "m")], "b"),
        ({HOST_CONFIG: "b", LATTICE: "l"}, [config("a", "l"), config("b", "m")], "NoHostConfig"),
        ({HOST_CONFIG: "b"}, [config("a", "l"), config("b", "l", "b")], "b"),
    ],
)
def test_the_lattice_is_that_of_the_namespaces_host_configs(
    annotations: dict[str, str], configs: list[ConfiguredPool], expected: str
) -> None:
    choice = choose(annotations, configs)
    if isinstance(choice, Chosen):
        assert choice.host_config == expected
        return
    assert choice.reason == expected
    assert choice.stalled == (expected == "AmbiguousLattice")
    assert all(candidate.name in choice.message for candidate in configs)


def stored(*versions: str, deployed: str = "", owner: Owner | None = ME, digest: str | None = None) -> Stored:
    return Stored(versions, deployed, owner, digest, 100)


def nobody(_: Owner) -> bool:
    return False


def everybody(_: Owner) -> bool:
    return True


def test_what_is_not_there_is_put_and_deployed() -> None:
    run = plan.decide(content(), None, ME, everybody)
    assert isinstance(run, Run)
    assert (run.put, run.deploy, run.adopts, run.renamed) == (True, True, False, False)


def test_what_is_stored_is_never_put_and_what_is_deployed_never_deployed_again() -> None:
    version = plan.decide(content(), None, ME, everybody).version  # type: ignore[union-attr]
    run = plan.decide(content(), stored(version), ME, everybody)
    assert isinstance(run, Run)
    assert (run.put, run.deploy) == (False, True)
    run = plan.decide(content(), stored("old", version, deployed=version), ME, everybody)
    assert isinstance(run, Run)
    assert (run.put, run.deploy) == (False, False)


def test_owners() -> None:
    assert plan.decide(content(), stored("v", owner=OTHER), ME, everybody) == Conflict(OTHER)
    inherited = plan.decide(content(), stored("v", owner=OTHER), ME, nobody)
    assert isinstance(inherited, Run)
    assert inherited.inherits == OTHER
    adopted = plan.decide(content(), stored("v", owner=None), ME, everybody)
    assert isinstance(adopted, Run)
    assert adopted.adopts


def test_a_declared_version_with_other_content_gets_another_name() -> None:
    run = plan.decide(content("1.0"), stored("1.0", deployed="1.0", digest="other"), ME, everybody)
    assert isinstance(run, Run)
    assert run.renamed
    assert run.put
    assert run.version == f"1.0+{content('1.0').short_digest}"


def test_settled_only_when_everything_is_known_to_fit() -> None:
    wanted = content("1.0")
    fits: dict[str, Any] = {"deployed": "1.0", "newest": "1.0", "owner": ME, "digest": wanted.digest}
    assert plan.settled(Record(**fits), wanted, ME)
    assert plan.settled(Record(**{**fits, "deployed": f"1.0+{wanted.short_digest}"}), wanted, ME)
    assert not plan.settled(None, wanted, ME)
    for change in ({"deployed": ""}, {"deployed": "2.0"}, {"owner": OTHER}, {"digest": "x"}, {"suspect": True}):
        assert not plan.settled(Record(**{**fits, **change}), wanted, ME)


def test_what_an_earlier_life_wrote_counts_only_for_the_same_version_and_content() -> None:
    wanted = content()
    for version, digest, taken in (("v", wanted.digest, True), ("w", wanted.digest, False), ("v", "x", False)):
        record = Record("v", "v")
        plan.remembered(record, wanted, ME, version=version, digest=digest)
        assert (record.owner == ME) is taken


def test_old_versions_stay_as_long_as_there_are_few_and_they_have_room() -> None:
    sizes = {"a": 300_000, "b": 300_000}
    assert plan.fits(["a", "b"], sizes, 200_000, limit=2, whole=1_000_000)
    assert not plan.fits(["a", "b"], sizes, 200_001, limit=2, whole=1_000_000)
    assert not plan.fits(["a", "b"], sizes, 1, limit=1, whole=1_000_000)
    assert plan.fits([], {}, 1, limit=0, whole=1_000_000)


@given(st.lists(st.integers(1, 300_000), max_size=60), st.integers(0, 12))
def test_the_total_never_comes_near_a_message(puts: list[int], limit: int) -> None:
    """The oldest goes first, the newest runs and stays, and small ones are not measured."""
    whole, stored = 1_000_000, list[int]()
    for new in puts:
        measured = plan.worth_measuring(max([new, *stored[-1:]]), limit, whole)
        while len(stored) > 1:
            names = [str(number) for number in range(len(stored))]
            sizes = dict(zip(names, stored, strict=True)) if measured else {}
            if plan.fits(names, sizes, new, limit=limit, whole=whole):
                break
            stored.pop(0)
        stored.append(new)
        assert sum(stored) <= 0.9 * whole


def test_names_that_only_the_operator_gives() -> None:
    assert plan.made_by_operator("content-0123456789ab")
    assert plan.made_by_operator("1.0+0123456789ab")
    assert not plan.made_by_operator("1.0")
    assert not plan.made_by_operator("content-tool")


def summary(name: str = "app", version: str = "v", deployed: str = "v", word: str = "deployed") -> ModelSummary:
    return ModelSummary.model_validate(
        {"name": name, "version": version, "deployed_version": deployed, "status": {"type": word}}
    )


def pushed(word: str) -> StatusPushed:
    return StatusPushed("app", Status.model_validate({"status": {"type": word}}))


def test_a_list_tells_only_what_is_new() -> None:
    view = View()
    assert view.take_list([summary("a"), summary("b")]) == {"a", "b"}
    assert view.listed
    assert view.take_list([summary("a"), summary("b")]) == set()
    assert view.take_list([summary("a", word="failed")]) == {"a", "b"}
    assert "b" not in view.records
    assert view.take_list([summary("a", version="w", word="failed")]) == {"a"}
    assert view.records["a"].suspect


def test_a_list_tells_nothing_of_what_is_being_changed_unless_nothing_is_certain() -> None:
    view = View()
    view.take_list([summary("a"), summary("b"), summary("c")])
    assert view.enter(Key("ns", "a"))
    view.records["b"].deployed_at = 1.0
    assert view.take_list([]) == {"c"}
    assert view.take_list([summary("a", version="old"), summary("b", version="old")]) == set()
    view.lost()
    assert view.take_list([]) == {"a", "b"}


def test_what_was_known_before_a_break_counts_again_when_it_is_listed() -> None:
    wanted = content("1.0")
    view = View(listed=True)
    for name in ("a", "b"):
        view.records[name] = Record("1.0", "1.0", owner=ME, digest=wanted.digest)
    view.lost()
    view.not_listed()
    assert not any(plan.settled(record, wanted, ME) for record in view.records.values())
    view.take_list([summary("a", version="1.0", deployed="1.0"), summary("b", version="1.1", deployed="1.0")])
    assert plan.settled(view.records["a"], wanted, ME)
    assert not plan.settled(view.records["b"], wanted, ME)
    view.not_listed()
    view.lost()
    assert (view.listed, view.list_failed) == (False, False), "the next list is waited for"


def test_a_list_after_a_break_does_not_tell_how_a_new_version_does() -> None:
    view = View(records={"app": Record("v", "v", deployed_at=1.0)})
    view.take_list([summary(word="deployed")])
    record = view.records["app"]
    assert (record.status, record.deployed_at) == (None, 1.0)


def test_the_end_of_what_is_not_deployed_matters_to_whom_it_stood_in_the_way_of() -> None:
    view = View(records={"app": Record("", "v", owner=OTHER)})
    assert not view.take_event(ManifestUnpublished("app"))
    view.refused.add(Key("ns", "app"))
    assert view.take_event(ManifestUnpublished("app"))
    assert view.records["app"].suspect


def test_an_application_tells_what_wadm_runs_while_its_status_fits_what_it_says() -> None:
    spec = {"components": [{"image": "x:1"}]}
    meta = ObjectMeta(name="app", namespace="ns", annotations={"example.com/tool": "x"})
    digest = content_of({"name": "app"}, spec).digest
    told = {"deployedVersion": "v1", "contentDigest": digest}
    manifest = plan.deployed_manifest(CustomResource(meta, spec, told), "v1", ME.cluster)
    assert manifest == to_manifest(content_of({"name": "app"}, spec), "v1", ME)
    for item, version in (
        (CustomResource(meta, spec, told), "v2"),
        (CustomResource(meta, {"components": []}, told), "v1"),
        (CustomResource(meta, spec, told | {"contentDigest": "0"}), "v1"),
        (CustomResource(meta, spec, None), "v1"),
        (CustomResource(meta, None, told), "v1"),
    ):
        assert plan.deployed_manifest(item, version, ME.cluster) is None


def test_a_push_confirms_a_deploy_and_the_same_again_is_nothing() -> None:
    view = View(records={"app": Record("v", "v", deployed_at=1.0)})
    assert view.take_event(pushed("deployed"))
    assert view.records["app"].deployed_at is None
    assert not view.take_event(pushed("deployed"))
    assert view.take_event(pushed("failed"))
    assert not View().take_event(pushed("failed")), "of an application that nobody knows it tells nothing"


def test_what_waits_has_one_wording() -> None:
    view = View()
    view.take_list([summary(word="undeployed")])
    told = view.records["app"].status
    assert told is not None
    assert told.info.type is StatusType.WAITING
    assert view.take_list([summary(word="waiting")]) == set()


def test_only_what_is_not_ours_makes_a_published_manifest_suspect() -> None:
    wanted = content("1.0")
    record = Record("1.0", "1.0", owner=ME, digest=wanted.digest)
    view = View(records={"app": record})
    assert not view.take_event(ManifestPublished("app", to_manifest(wanted, "1.0", ME)))
    assert not record.suspect
    assert view.take_event(ManifestPublished("app", to_manifest(wanted, "1.0", OTHER)))
    assert record.suspect


def test_unpublished_is_a_reason_to_look_where_something_was_deployed() -> None:
    view = View(records={"app": Record("v", "v"), "idle": Record("", "v")})
    assert view.take_event(ManifestUnpublished("app"))
    assert view.records["app"].suspect
    assert not view.take_event(ManifestUnpublished("idle"))
    assert not view.take_event(ManifestUnpublished("unknown"))


def test_nothing_chosen_says_why() -> None:
    choice = choose({}, [])
    assert choice == NotChosen("NoHostConfig", "no host config in this namespace: the application waits for one")


def test_whoever_waits_is_woken_and_one_name_is_in_one_hand() -> None:
    view = View()
    first, rival = Key("a", "app"), Key("b", "app")
    assert view.enter(first)
    assert not view.enter(rival)
    others = [Key("a", f"app-{number}") for number in range(20)]
    entered = [key for key in others if view.enter(key)]
    assert len(entered) == 15
    woken = view.leave(first)
    assert woken == [rival], "one place is free"
    assert not view.waiting.get(rival)
    # The rival is gone and never enters: the last to leave wakes all that wait.
    for key in entered[:-1]:
        woken += view.leave(key)
    woken += view.leave(entered[-1])
    assert set(woken) == {rival, *(key for key in others if key not in entered)}
    assert not view.waiting
    assert not view.busy
