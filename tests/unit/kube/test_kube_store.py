"""The store: no rollback, no resurrection, one delete for each that vanished, indexes that agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.kube.objects import item, key
from wasmcloud_operator.kube.objects import Metadata
from wasmcloud_operator.kube.store import Change, Store


def by_label(obj: Metadata) -> list[str]:
    return [f"{name}={value}" for name, value in obj.metadata.labels.items()]


def follow(seen: dict, changes: list[Change[Metadata]]) -> None:
    """Apply the changes to a copy, checking that each fits what was there."""
    for change in changes:
        if change.old is None:
            assert change.key not in seen, f"{change.key} appeared twice"
        else:
            assert seen[change.key] == change.old, f"{change.key} changed from something it was not"
        if change.new is None:
            del seen[change.key]
        else:
            seen[change.key] = change.new


def relist(
    store: Store[Metadata], items: list[Metadata], version: str, *, during: Callable[[], object] = tuple, **more
) -> list[Change[Metadata]]:
    """Replace by a list that was asked for now, and while which this happened."""
    with store.listing() as meanwhile:
        during()
        return store.replace(items, version, meanwhile, **more)


@dataclass
class World:
    """What a real API server would have: every state that ever was, by version."""

    version: int = 0

    def __post_init__(self) -> None:
        self.live: dict = {}
        self.states: list[Metadata] = []
        self.snapshots: list[tuple[int, list[Metadata]]] = [(0, [])]
        self.deleted: dict[str, int] = {}

    def step(self, name: str, what: str, label: str) -> tuple[str, Metadata] | None:
        at = key(name)
        held = self.live.get(at)
        if what == "delete" and held is None:
            return None
        self.version += 1
        if what == "delete":
            del self.live[at]
            self.deleted[held.metadata.uid] = self.version
            event = ("delete", item(name, self.version, uid=held.metadata.uid, **held.metadata.labels))
        else:
            uid = held.metadata.uid if held is not None and what == "put" else f"uid-{name}-{self.version}"
            if held is not None and held.metadata.uid != uid:
                self.deleted[held.metadata.uid] = self.version
            self.live[at] = item(name, self.version, uid=uid, app=label)
            self.states.append(self.live[at])
            event = ("put", self.live[at])
        self.snapshots.append((self.version, list(self.live.values())))
        return event


STEP = st.tuples(st.sampled_from("abc"), st.sampled_from(["put", "put", "delete", "recreate"]), st.sampled_from("xy"))


@settings(max_examples=150)
@given(st.lists(STEP, max_size=25), st.data())
def test_late_answers_and_relists_never_roll_back_and_never_resurrect(steps: list[tuple[str, str, str]], data):
    """Watch events in order, mixed with answers and lists from any time in the past."""
    world = World()
    store: Store[Metadata] = Store({"app": by_label})
    seen: dict = {}
    for step in steps:
        event = world.step(*step)
        if event is not None:
            kind, obj = event
            meta = obj.metadata
            if kind == "put":
                follow(seen, store.put(obj))
            else:
                follow(seen, store.delete(meta.key, meta.uid, meta.resource_version))
        for late in data.draw(st.lists(st.sampled_from(world.states), max_size=3) if world.states else st.just([])):
            follow(seen, store.put(late))
        assert {obj.metadata.key: obj for obj in store} == world.live == seen
        for index_value in ("app=x", "app=y"):
            expected = sorted(at for at, obj in world.live.items() if index_value in by_label(obj))
            assert [obj.metadata.key for obj in store.by_index("app", index_value)] == expected
        assert store.index_values("app") == sorted({value for obj in world.live.values() for value in by_label(obj)})
        if data.draw(st.booleans()):
            follow(seen, relist(store, list(world.live.values()), str(world.version)))
            assert {obj.metadata.key: obj for obj in store} == world.live


@settings(max_examples=150)
@given(st.lists(STEP, min_size=1, max_size=25), st.data())
def test_any_list_of_the_past_and_the_watch_after_it_converge(steps: list[tuple[str, str, str]], data):
    world = World()
    events = [event for step in steps if (event := world.step(*step)) is not None]
    known, _ = data.draw(st.sampled_from(world.snapshots))
    listed, objects = data.draw(st.sampled_from([entry for entry in world.snapshots if entry[0] >= known]))
    store: Store[Metadata] = Store()
    seen: dict = {}

    def watch(upto: int, after: int = 0) -> None:
        for kind, obj in events:
            meta = obj.metadata
            if after < int(meta.resource_version) <= upto:
                deleted = kind == "delete"
                follow(seen, store.delete(meta.key, meta.uid, meta.resource_version) if deleted else store.put(obj))

    watch(known)
    held, gone = data.draw(st.sampled_from(world.snapshots)), dict(world.deleted)
    with store.listing() as meanwhile:
        # Other answers that come while the list is under way, from before it or from after it.
        for obj in data.draw(st.lists(st.sampled_from(world.states), max_size=3) if world.states else st.just([])):
            if gone.get(obj.metadata.uid, world.version + 1) > held[0]:
                follow(seen, store.put(obj))
        written = {obj.metadata.key: obj for obj in store if int(obj.metadata.resource_version) > listed}
        follow(seen, store.replace(objects, str(listed), meanwhile))
    assert {obj.metadata.key: obj for obj in store} == {obj.metadata.key: obj for obj in objects} | written
    watch(world.version, after=listed)
    assert {obj.metadata.key: obj for obj in store} == world.live == seen


def test_another_uid_is_a_deletion_and_an_addition():
    store: Store[Metadata] = Store()
    first, second = item("a", 1, uid="one"), item("a", 2, uid="two")
    store.put(first)
    assert store.put(second) == [Change(first, None), Change(None, second)]
    assert store.put(item("a", 1, uid="one")) == []
    assert store.get(key("a")) is second


def test_another_uid_in_a_relist_is_a_deletion_and_an_addition():
    store: Store[Metadata] = Store()
    first, second = item("a", 1, uid="one"), item("a", 5, uid="two")
    store.put(first)
    assert relist(store, [second], "9") == [Change(first, None), Change(None, second)]


def test_our_own_write_is_not_undone_by_a_list_taken_before_it():
    store: Store[Metadata] = Store()
    store.put(item("old", 1))
    created, changed = item("new", 20), item("old", 21)
    assert relist(store, [item("old", 1)], "15", during=lambda: (store.put(created), store.put(changed))) == []
    assert store.get(key("new")) is created
    assert store.get(key("old")) is changed


def test_our_own_delete_is_not_undone_by_late_events():
    store: Store[Metadata] = Store()
    held = item("a", 5)
    store.put(held)
    relist(store, [item("a", 6)], "6", during=lambda: store.delete(key("a"), held.metadata.uid))
    assert store.put(item("a", 6)) == []  # deletionTimestamp set, say: sent before it was gone
    assert len(store) == 0


def test_an_object_that_left_the_selection_comes_back():
    """A watch with a label selector says DELETED for an object that only lost its label."""
    store: Store[Metadata] = Store()
    store.put(item("a", 1))
    assert len(store.delete(key("a"), "uid-a", "2")) == 1
    assert store.put(item("a", 2)) == []
    back = item("a", 3)
    assert store.put(back) == [Change(None, back)]
    relist(store, [], "4")
    back = item("a", 5)
    assert store.put(back) == [Change(None, back)]


def test_a_relist_touches_only_its_namespace():
    store: Store[Metadata] = Store()
    other = item("b", 1, namespace="other")
    store.put(item("a", 1))
    store.put(other)
    changes = relist(store, [], "9", namespace="ns")
    assert [change.key for change in changes] == [key("a")]
    assert list(store) == [other]
    assert [change.old for change in store.drop("other")] == [other]


def test_where_all_namespaces_were_followed_all_objects_are_dropped_with_them():
    store: Store[Metadata] = Store()
    held = [item("a", 1), item("b", 2, namespace="other")]
    for each in held:
        store.put(each)
    assert [change.old for change in store.drop("")] == held
    assert list(store) == []


@pytest.mark.parametrize("listed", ["45", "1000"], ids=["before what was seen", "moved past it"])
@pytest.mark.parametrize("gone", [{"resource_version": "70"}, {}], ids=["seen to vanish", "deleted by ourselves"])
def test_a_history_that_went_back_is_believed(listed: str, gone: dict):
    """etcd restored from a backup: what the list has is the truth, and the deleted may be back."""
    store: Store[Metadata] = Store()
    seen: dict = {}
    for obj in (item("changed", 50), item("created since", 60), item("deleted since", 40)):
        follow(seen, store.put(obj))
    follow(seen, store.delete(key("deleted since"), "uid-deleted since", **gone))
    restored = [item("changed", 30), item("deleted since", 40)]
    follow(seen, relist(store, restored, listed))
    assert sorted(store, key=str) == sorted(restored, key=str)
    assert seen == {obj.metadata.key: obj for obj in restored}
    again = item("deleted since", 41)
    follow(seen, store.put(again))
    assert store.get(key("deleted since")) is again


def test_a_deletion_that_was_followed_by_a_list_is_no_bar_to_a_later_state():
    store: Store[Metadata] = Store()
    store.put(item("a", 3))
    relist(store, [], "5")
    assert store.put(item("a", 5)) == []
    assert len(store.put(item("a", 6))) == 1


def test_a_deletion_of_unknown_order_is_believed():
    store: Store[Metadata] = Store()
    store.put(item("a", "held"))
    assert len(store.delete(key("a"), "uid-a", "other")) == 1


def test_an_object_that_became_unreadable_is_not_held_in_its_old_state():
    store: Store[Metadata] = Store()
    old, readable = item("a", 1), item("a", 3)
    store.put(old)
    assert store.leave_out(key("a"), "2") == [Change(old, None)]
    assert (store.get(key("a")), store.unreadable) == (None, {key("a"): "2"})
    assert store.put(item("a", 2)) == []
    assert store.put(readable) == [Change(None, readable)]
    assert store.leave_out(key("a"), "2") == []
    assert (store.get(key("a")), store.unreadable) == (readable, {})


@pytest.mark.parametrize("how", ["deleted", "not listed", "readable again", "no longer followed"])
def test_nothing_is_kept_of_an_unreadable_object(how: str):
    store: Store[Metadata] = Store()
    relist(store, [], "4", unreadable={key("a"): "3", key("b", "other"): "1"}, namespace="")
    assert store.unreadable == {key("a"): "3", key("b", "other"): "1"}
    if how == "deleted":
        store.delete(key("a"), "uid-a", "5")
    elif how == "not listed":
        relist(store, [], "5", namespace="ns")
    elif how == "readable again":
        relist(store, [item("a", 5)], "5", namespace="ns")
    else:
        store.drop("ns")
    assert store.unreadable == {key("b", "other"): "1"}


def test_an_object_that_an_indexer_cannot_read_is_kept_without_it():
    store: Store[Metadata] = Store({"app": lambda obj: [obj.metadata.labels["app"]]})
    changes = relist(store, [item("bad", 1), item("good", 2, app="x")], "2")
    assert len(changes) == len(store) == 2
    assert [obj.metadata.name for obj in store.by_index("app", "x")] == ["good"]


def test_the_memory_of_deleted_objects_is_bounded():
    store: Store[Metadata] = Store()
    for number in range(10_000):
        store.delete(key(str(number)), f"uid-{number}", str(number))
    assert len(store._gone) <= 4096


class TestAStoreThatKeepsWhatWasReadableLast:
    def test_an_unreadable_object_is_not_taken_for_deleted(self):
        store: Store[Metadata] = Store(keep_unreadable=True)
        old = item("a", 1)
        store.put(old)
        assert store.leave_out(key("a"), "3") == [Change(old, old)]
        assert (store.get(key("a")), store.unreadable) == (old, {key("a"): "3"})
        assert store.leave_out(key("a"), "2") == []
        assert store.put(item("a", 2)) == [], "a late answer from before"
        readable = item("a", 4)
        assert store.put(readable) == [Change(old, readable)]
        assert store.unreadable == {}

    def test_nor_by_a_list(self):
        store: Store[Metadata] = Store(keep_unreadable=True)
        old = item("a", 1)
        store.put(old)
        assert relist(store, [], "4", unreadable={key("a"): "3", key("b"): "2"}) == [Change(old, old)]
        assert (store.get(key("a")), store.unreadable) == (old, {key("a"): "3", key("b"): "2"})
        assert relist(store, [], "5") == [Change(old, None)]
        assert (len(store), store.unreadable) == (0, {})

    def test_its_deletion_is_believed(self):
        store: Store[Metadata] = Store(keep_unreadable=True)
        old = item("a", 1)
        store.put(old)
        store.leave_out(key("a"), "3")
        assert store.delete(key("a"), old.metadata.uid, "4") == [Change(old, None)]
        assert (len(store), store.unreadable) == (0, {})
