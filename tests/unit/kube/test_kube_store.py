"""The store: no rollback, no resurrection, one delete for each that vanished, indexes that agree."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from kubeobjects import item, key
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
            follow(seen, store.replace(list(world.live.values()), str(world.version)))
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
    follow(seen, store.replace(objects, str(listed)))
    assert {obj.metadata.key: obj for obj in store} == {obj.metadata.key: obj for obj in objects}
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
    assert store.replace([second], "9") == [Change(first, None), Change(None, second)]


def test_our_own_write_is_not_undone_by_a_list_taken_before_it():
    store: Store[Metadata] = Store()
    store.put(item("old", 1))
    created, changed = item("new", 20), item("old", 21)
    store.put(created)
    store.put(changed)
    assert store.replace([item("old", 1)], "15") == []
    assert store.get(key("new")) is created
    assert store.get(key("old")) is changed


def test_our_own_delete_is_not_undone_by_late_events():
    store: Store[Metadata] = Store()
    held = item("a", 5)
    store.put(held)
    store.delete(key("a"), held.metadata.uid)
    assert store.put(item("a", 6)) == []  # deletionTimestamp set, say: sent before it was gone
    assert store.replace([item("a", 6)], "6") == []
    assert len(store) == 0


def test_an_object_that_left_the_selection_comes_back():
    """A watch with a label selector says DELETED for an object that only lost its label."""
    store: Store[Metadata] = Store()
    store.put(item("a", 1))
    assert len(store.delete(key("a"), "uid-a", "2")) == 1
    assert store.put(item("a", 2)) == []
    back = item("a", 3)
    assert store.put(back) == [Change(None, back)]
    store.replace([], "4")
    back = item("a", 5)
    assert store.put(back) == [Change(None, back)]


def test_a_relist_touches_only_its_namespace():
    store: Store[Metadata] = Store()
    other = item("b", 1, namespace="other")
    store.put(item("a", 1))
    store.put(other)
    changes = store.replace([], "9", namespace="ns")
    assert [change.key for change in changes] == [key("a")]
    assert list(store) == [other]
    assert [change.old for change in store.drop("other")] == [other]


def test_a_history_that_went_back_is_believed():
    """etcd restored from a backup: lower versions are the truth, and the deleted may be back."""
    store: Store[Metadata] = Store()
    seen: dict = {}
    for obj in (item("changed", 50), item("created since", 60), item("deleted since", 40)):
        follow(seen, store.put(obj))
    follow(seen, store.delete(key("deleted since"), "uid-deleted since", "70"))
    restored = [item("changed", 30), item("deleted since", 40)]
    follow(seen, store.replace(restored, "45", rewound=True))
    assert sorted(store, key=str) == sorted(restored, key=str)
    assert seen == {obj.metadata.key: obj for obj in restored}


def test_an_object_that_an_indexer_cannot_read_is_kept_without_it():
    store: Store[Metadata] = Store({"app": lambda obj: [obj.metadata.labels["app"]]})
    changes = store.replace([item("bad", 1), item("good", 2, app="x")], "2")
    assert len(changes) == len(store) == 2
    assert [obj.metadata.name for obj in store.by_index("app", "x")] == ["good"]


def test_what_is_remembered_of_the_deleted_is_bounded():
    store: Store[Metadata] = Store()
    for number in range(10_000):
        store.delete(key(str(number)), f"uid-{number}", str(number))
    assert len(store._gone) <= 4096
