"""Others that set our fields back or delete our objects, again and again: slower and slower, and named."""

from __future__ import annotations

import itertools

import pytest

from support.kube.applied import PLACE, World, config, drops_all_data, ours, set_back
from support.kube.objects import key
from wasmcloud_operator.kube.errors import ServerError
from wasmcloud_operator.kube.resources import CONFIG_MAP
from wasmcloud_operator.kube.testing import Answer


async def test_a_tug_of_war_is_slowed_down_to_minutes_and_the_other_is_named(world: World):
    await world.apply(config())
    world.sent()
    patches = 0
    for _ in range(1200):  # twenty minutes in which it is set back as soon as it was applied
        await set_back(world, value="theirs")
        await world.apply(config())
        await world.bench.clock.advance(1)
        patches += world.sent().count("PATCH")
    assert 8 <= patches <= 13, "after 1, 2, 4, … seconds and then every five minutes"
    (contested,) = world.applier.contests.of([PLACE])
    assert str(contested).startswith("ConfigMap ns/c: .data.value is set back by field manager other whenever")
    assert 0 < (world.applier.contests.again([PLACE]) or 0) <= 300


async def test_another_wish_is_applied_at_once_in_a_tug_of_war(world: World):
    await world.apply(config())
    for _ in range(20):
        await set_back(world, value="theirs")
        await world.apply(config())
    world.sent()
    await world.apply(config("2"))
    assert world.sent() == ["PATCH"]
    await set_back(world, value="theirs")
    await world.apply(config("2"))
    await set_back(world, value="theirs")
    world.sent()
    await world.apply(config("2"))
    assert world.sent() == []


async def test_a_tug_of_war_that_ended_is_over(world: World):
    await world.apply(config())
    for _ in range(5):
        await set_back(world, value="theirs")
        await world.apply(config())
        await world.bench.clock.advance(20)
    assert world.applier.contests.of([PLACE])
    while (again := world.applier.contests.again([PLACE])) is not None:
        await world.bench.clock.advance(again + 0.01)
        assert (await world.apply(config())).outcome == "unchanged"
    assert world.applier.contests.of([PLACE]) == []
    await world.bench.clock.advance(1000)
    await set_back(world, value="theirs")
    world.sent()
    await world.apply(config())
    assert world.sent() == ["PATCH"], "put right at once, as the first time"
    assert world.applier.contests.of([PLACE]) == []


async def test_a_webhook_that_sets_a_field_back_is_reported(world: World):
    await world.apply(config())
    world.bench.api.put(CONFIG_MAP, {**world.live(), "data": {}})
    await world.bench.clock.settle()
    drops_all_data(world)
    await world.apply(config())
    (contested,) = world.applier.contests.of([PLACE])
    assert "an admission webhook or the API server itself" in str(contested)
    assert contested.path == ".data.value"


async def test_a_single_set_back_is_not_a_contest(world: World):
    await world.apply(config())
    await set_back(world, value="theirs")
    world.sent()
    assert (await world.apply(config())).outcome == "changed"
    assert world.sent() == ["PATCH"], "nobody is asked who it was"
    assert world.applier.contests.of([PLACE]) == []


async def test_writes_that_fail_are_nobodys_set_backs(world: World):
    """A server that is busy for a minute must not have one edit wait for minutes, and a bystander blamed."""
    await world.apply(config())
    await set_back(world, value="theirs")
    world.bench.api.fail(*[Answer("write", 503)] * 6)
    for _ in range(6):
        with pytest.raises(ServerError):
            await world.apply(config())
    assert world.applier.contests.of([PLACE]) == []
    assert (await world.apply(config())).outcome == "changed"


async def test_many_different_fields_are_put_right_at_once_and_endless_ones_are_not(world: World):
    await world.apply(config())
    many = {str(n): "ours" for n in range(100)}
    await world.apply(config(**many))
    world.sent()
    for n in range(10):
        await set_back(world, **{str(n): "theirs"})
        await world.apply(config(**many))
    assert world.sent().count("PATCH") == 10
    for n in range(10, 100):
        await set_back(world, **{str(n): "theirs"})
        await world.apply(config(**many))
    assert world.sent().count("PATCH") < 12


async def test_an_object_that_is_deleted_again_and_again_is_made_later_and_later(world: World):
    made = []
    for _ in range(1200):
        if world.live() is not None:
            world.bench.api.remove(CONFIG_MAP, key("c"))
            await world.bench.clock.settle()
        applied = await world.apply(config())
        if applied.outcome == "created":
            made.append(world.bench.clock.monotonic())
        else:
            assert applied.item is None
            assert 0 < (world.applier.contests.again([PLACE]) or 0) <= 300
        await world.bench.clock.advance(1)
    between = [later - earlier for earlier, later in itertools.pairwise(made)]
    assert between[:7] == [1, 1, 2, 4, 8, 16, 32], "the first time that it is gone it is made at once"
    assert max(between) == 300
    (contested,) = world.applier.contests.of([PLACE])
    assert str(contested).startswith("ConfigMap ns/c is deleted by somebody else whenever it is made")
    assert (await world.apply(config("2"))).outcome == "created", "what is wanted now was not deleted yet"


async def test_an_object_that_is_left_alone_is_no_longer_called_deleted(world: World):
    await world.apply(config())
    for _ in range(4):
        world.bench.api.remove(CONFIG_MAP, key("c"))
        await world.bench.clock.settle()
        await world.bench.clock.advance(world.applier.contests.again([PLACE]) or 0)
        await world.apply(config())
    assert world.applier.contests.of([PLACE])
    await world.bench.clock.advance(60)
    assert (await world.apply(config())).outcome == "unchanged"
    assert world.applier.contests.of([PLACE]) == []


async def test_an_object_that_we_delete_ourselves_is_made_again_at_once(world: World):
    for _ in range(10):
        applied = await world.apply(config())
        assert applied.outcome == "created"
        assert await world.applier.delete(world.kind, applied.item, ours)
        await world.bench.clock.settle()


async def test_an_object_that_was_left_out_of_the_cache_was_not_deleted(world: World):
    await world.apply(config())
    for _ in range(10):
        world.kind.informer.forget(world.kind.informer.store.get(key("c")))
        assert (await world.apply(config())).outcome == "unchanged"
        world.kind.informer.store._gone.clear()
        world.kind.informer.offer(await world.bench.client.get(CONFIG_MAP, key("c")))
    assert world.applier.contests.again([PLACE]) is None
