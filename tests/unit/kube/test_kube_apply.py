"""Writing an object: what is sent, what is left alone, and whose object is never touched."""

from __future__ import annotations

import gc

import pytest

from support.kube.applied import World, config, drops_all_data, ours
from support.kube.bench import WIDGETS, KubeBench
from support.kube.objects import WIDGET, key
from wasmcloud_operator.kube.apply import ForeignObject
from wasmcloud_operator.kube.difference import first_difference
from wasmcloud_operator.kube.errors import DeadlineExceeded, NotFound
from wasmcloud_operator.kube.objects import Unstructured
from wasmcloud_operator.kube.resources import CONFIG_MAP
from wasmcloud_operator.kube.testing import NoAnswer


async def test_created_then_unchanged_without_a_request(world: World):
    assert (await world.apply(config())).outcome == "created"
    assert world.sent() == ["PATCH"]
    for _ in range(3):  # at once, from what was written, and later from what was watched
        assert (await world.apply(config())).outcome == "unchanged"
        await world.bench.clock.advance(120)
    assert world.sent() == []


async def test_a_change_and_a_field_we_stopped_sending_are_written(world: World):
    await world.apply(config("1", extra="x"))
    assert (await world.apply(config("2", extra="x"))).outcome == "changed"
    world.sent()
    # The live object has all that is wanted; only the fingerprint shows that `extra` is no longer ours.
    assert (await world.apply(config("2"))).outcome == "changed"
    assert world.sent() == ["PATCH"]
    assert (await world.apply(config("2"))).outcome == "unchanged"


async def test_drift_is_put_right(world: World):
    await world.apply(config())
    world.bench.api.put(CONFIG_MAP, {**world.live(), "data": {"value": "tampered"}})
    await world.bench.clock.settle()
    assert (await world.apply(config())).outcome == "changed"
    assert world.live()["data"]["value"] == "1"


async def test_fields_that_others_added_are_left_alone(world: World):
    await world.apply(config())
    world.bench.api.put(CONFIG_MAP, {**world.live(), "data": {"value": "1", "theirs": "2"}})
    await world.bench.clock.settle()
    world.sent()
    assert (await world.apply(config())).outcome == "unchanged"
    assert world.sent() == []


async def test_a_strangers_object_is_never_touched(world: World):
    stranger = {"metadata": {"name": "c", "namespace": "ns"}, "data": {"theirs": "1"}}
    before = world.bench.api.put(CONFIG_MAP, stranger)
    for sent in (["PATCH", "GET"], ["GET"]):  # refused by the server; then known
        with pytest.raises(ForeignObject, match="ConfigMap ns/c exists"):
            await world.apply(config())
        assert world.sent() == sent
    assert world.live() == before
    world.bench.api.remove(CONFIG_MAP, key("c"))
    assert (await world.apply(config())).outcome == "created"


async def test_a_vanished_object_is_looked_for_and_created_not_resurrected_blindly(world: World):
    first = (await world.apply(config("1"))).item
    world.bench.api.remove(CONFIG_MAP, key("c"))  # and the watch has not brought it yet
    world.sent()
    applied = await world.apply(config("2"))
    assert applied.outcome == "created"
    assert applied.item.metadata.uid != first.metadata.uid
    assert world.sent() == ["PATCH", "GET", "PATCH"]


async def test_an_object_that_was_replaced_by_a_strangers_is_not_taken_over(world: World):
    await world.apply(config("1"))
    world.bench.api.remove(CONFIG_MAP, key("c"))
    before = world.bench.api.put(CONFIG_MAP, {"metadata": {"name": "c", "namespace": "ns"}, "data": {}})
    with pytest.raises(ForeignObject):
        await world.apply(config("2"))
    assert world.live() == before


@pytest.mark.parametrize("late", [True, False], ids=["the write happened", "it did not"])
async def test_after_a_lost_answer_the_object_is_read_live(world: World, late: bool):
    await world.apply(config("1"))
    await world.bench.clock.settle()
    world.sent()
    world.bench.api.fail(NoAnswer("write", late=late))
    writing = world.bench.start(world.apply(config("2")))
    await world.bench.clock.advance(16)
    with pytest.raises(DeadlineExceeded):
        await writing
    assert world.sent() == ["PATCH"]
    outcome = (await world.apply(config("2"))).outcome
    assert outcome == ("unchanged" if late else "changed")
    assert world.sent() == (["GET"] if late else ["GET", "PATCH"])
    await world.apply(config("2"))
    assert world.sent() == []


async def test_we_read_our_own_writes(world: World):
    """Right after a write the cache has it, whatever the watch brings late."""
    await world.apply(config("1"))
    applied = await world.apply(config("2"))
    held = world.kind.informer.store.get(key("c"))
    assert held is not None
    assert held.metadata.resource_version == applied.item.metadata.resource_version
    await world.bench.clock.settle()  # now the events of both writes arrive
    assert world.kind.informer.store.get(key("c")).body["data"] == {"value": "2"}


async def test_only_ours_are_deleted_and_only_that_one(world: World):
    item = (await world.apply(config())).item
    assert not await world.applier.delete(world.kind, item, lambda _: False)
    assert await world.applier.delete(world.kind, item, ours)
    assert world.live() is None
    assert key("c") not in world.kind.informer.store
    assert not await world.applier.delete(world.kind, item, ours)  # gone already
    await world.apply(config())
    assert not await world.applier.delete(world.kind, item, ours)  # another of that name: another uid
    assert world.live() is not None


async def test_get_of_nothing_is_named(bench: KubeBench):
    with pytest.raises(NotFound):
        await bench.client.get_as(WIDGET, key("none"), WIDGETS)


async def test_an_apply_that_changed_nothing_is_not_repeated(world: World):
    """A field that the API server drops differs for ever."""
    await world.apply(config())
    body = world.live()
    world.bench.api.put(CONFIG_MAP, {**body, "data": {}})
    await world.bench.clock.settle()
    drops_all_data(world)
    world.sent()
    for _ in range(5):
        assert (await world.apply(config())).outcome == "unchanged"
        await world.bench.clock.advance(60)
    assert world.sent() == ["PATCH"]
    assert (await world.apply(config("2"))).outcome == "unchanged"  # another wish is another try
    assert world.sent() == ["PATCH"]
    metadata = {**world.live()["metadata"], "annotations": {"theirs": "1"}}
    world.bench.api.put(CONFIG_MAP, {**world.live(), "metadata": metadata})
    await world.bench.clock.settle()
    await world.apply(config("2"))
    assert world.sent() == ["PATCH"], "a changed object is another try as well"


async def test_the_memory_of_strangers_objects_is_bounded(world: World):
    for number in range(600):
        name = f"c{number}"
        world.bench.api.put(CONFIG_MAP, {"metadata": {"name": name, "namespace": "ns"}, "data": {}})
        with pytest.raises(ForeignObject):
            await world.apply({**config(), "metadata": {**config()["metadata"], "name": name}})
        world.bench.api.remove(CONFIG_MAP, key(name))
    assert len(world.applier._strangers) <= 256
    assert not world.applier._uncertain


async def test_after_a_write_that_was_cut_off_the_object_is_read_live(world: World):
    """A reconcile that is cancelled at its deadline may have written all the same."""
    await world.apply(config("1"))
    world.bench.api.fail(NoAnswer("write", late=True))
    writing = world.bench.start(world.apply(config("2")))
    await world.bench.clock.settle()
    writing.cancel()
    await world.bench.clock.settle()
    world.sent()
    assert (await world.apply(config("2"))).outcome == "unchanged"
    assert world.sent() == ["GET"]


async def test_an_object_read_outside_of_the_selection_does_not_enter_the_cache(world: World):
    """No watch would show when it goes."""
    world.bench.api.put(CONFIG_MAP, {"metadata": {"name": "c", "namespace": "ns"}, "data": {}})
    with pytest.raises(ForeignObject):
        await world.apply(config())
    assert key("c") not in world.kind.informer.store


async def test_an_object_that_is_on_its_way_out_is_not_deleted_again(world: World):
    item = (await world.apply(config())).item
    metadata = {**world.live()["metadata"], "finalizers": ["x/y"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
    world.bench.api.put(CONFIG_MAP, {**world.live(), "metadata": metadata})
    await world.bench.clock.settle()
    held = world.kind.informer.store.get(key("c"))
    world.sent()
    assert held.metadata.uid == item.metadata.uid
    assert not await world.applier.delete(world.kind, held, ours)
    assert world.sent() == []


async def test_an_object_that_was_found_whole_is_compared_again_only_when_it_or_the_wish_is_another(
    world: World, monkeypatch
):
    compared = []

    def counted(desired, live):
        compared.append(live)
        return first_difference(desired, live)

    monkeypatch.setattr("wasmcloud_operator.kube.apply.first_difference", counted)
    await world.apply(config())
    await world.bench.clock.settle()
    for _ in range(3):
        assert (await world.apply(config())).outcome == "unchanged"
    assert len(compared) == 1
    # As after a restored backup: another content under the same version.
    held = world.kind.informer.store.get(key("c"))
    restored = Unstructured(held.metadata, {**held.body, "data": {"value": "restored"}})
    monkeypatch.setattr(world.kind.informer.store, "get", lambda _: restored)
    assert (await world.apply(config())).outcome != "created"
    assert len(compared) == 2
    monkeypatch.undo()
    assert (await world.apply(config("2"))).outcome == "changed"


async def test_the_memory_of_whole_objects_keeps_none_of_them_alive(world: World):
    await world.apply(config())
    await world.apply(config())
    await world.bench.clock.settle()
    (known,) = world.applier._whole.values()
    assert known.found() is not None
    world.bench.api.remove(CONFIG_MAP, key("c"))
    await world.bench.clock.settle()
    gc.collect()
    assert known.found() is None
