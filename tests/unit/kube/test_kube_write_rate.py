"""The status of one object is written a few times at once, then once a second, whoever of us writes which part."""

from __future__ import annotations

import pytest

from support.kube.bench import WIDGETS, KubeBench
from support.kube.objects import WIDGET, key
from support.operators.context import bare_context
from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.kube.contest import WriteTarget
from wasmcloud_operator.kube.controller import DONE, Controller, Result
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.kube.status_part import StatusPart
from wasmcloud_operator.kube.testing import Answer
from wasmcloud_operator.kube.write_rate import WriteRate
from wasmcloud_operator.shared.context import Context

MINUTE = 60
AT_ONCE = 5


class World:
    """A widget whose status two controllers write, each a field of its own, from what `wanted` has now."""

    def __init__(self, bench: KubeBench) -> None:
        self.bench = bench
        self.put("w")
        self.informer = bench.informer()
        context = bare_context(bench)
        self.wanted = {"hosts": 0, "instances": 0}
        self.ahead = self.part(context, "place")
        self.controllers = [self.controller(context, field) for field in self.wanted]
        for controller in self.controllers:
            bench.start(controller.run())

    def put(self, name: str) -> None:
        self.bench.api.put(WIDGET, {"metadata": {"name": name, "namespace": "ns"}, "spec": {}})

    def part(self, context: Context, field: str) -> StatusPart[CustomResource]:
        return StatusPart(
            resource=WIDGET,
            codec=WIDGETS,
            paced=context.applier.paced,
            client=self.bench.client,
            field_manager=field,
            part=f"status.{field}",
            rate=context.write_rate,
        )

    def controller(self, context: Context, field: str) -> Controller[Key]:
        part = self.part(context, field)

        async def reconcile(of: Key) -> Result:
            item = self.informer.store.get(of)
            status = item.status or {}
            before = {field: status[field]} if field in status else {}
            if (written := await part.write(item, before, {field: self.wanted[field]})) is not None:
                self.informer.offer(written)
            return DONE

        async def report(of: Key, error: Exception) -> None: ...

        return context.controller(field, reconcile, report, parts=((WIDGET, part.part),))

    def change(self, *fields: str, name: str = "w") -> None:
        for controller in self.controllers:
            if controller.name in fields:
                self.wanted[controller.name] += 1
                controller.queue.add(key(name))

    async def churn(self, seconds: int, *fields: str) -> None:
        for _ in range(10 * seconds):
            self.change(*fields)
            await self.bench.clock.advance(0.1)

    def writes(self) -> int:
        sent = sum(request.method == "PATCH" for request in self.bench.api.requests)
        self.bench.api.requests.clear()
        return sent

    def status(self, name: str = "w") -> dict:
        return self.bench.api.get(WIDGET, key(name))["status"]


@pytest.fixture
async def world(bench: KubeBench) -> World:
    made = World(bench)
    await bench.clock.until(lambda: made.informer.synced)
    bench.api.requests.clear()
    return made


@pytest.mark.parametrize("fields", [("hosts",), ("instances",), ("hosts", "instances")])
async def test_a_status_that_changes_all_the_time_is_written_once_a_second_by_all_of_us_together(
    world: World, fields: tuple[str, ...]
) -> None:
    await world.churn(MINUTE, *fields)
    assert MINUTE - 2 <= world.writes() <= MINUTE + AT_ONCE
    await world.churn(MINUTE, *fields)
    assert MINUTE - 2 <= world.writes() <= MINUTE + 1


async def test_the_last_change_is_written_though_no_news_comes(world: World) -> None:
    await world.churn(5, "hosts", "instances")
    await world.bench.clock.advance(3)
    assert world.status() == world.wanted
    world.writes()
    await world.bench.clock.advance(MINUTE)
    assert world.writes() == 0


async def test_each_of_two_that_change_all_the_time_has_its_turns(world: World) -> None:
    await world.churn(MINUTE, "hosts", "instances")
    behind = [world.wanted[field] - world.status()[field] for field in world.wanted]
    assert max(behind) <= 30, "of ten changes a second"


async def test_a_few_changes_in_a_row_are_written_at_once_and_a_rest_allows_them_again(world: World) -> None:
    for _ in range(3):
        for _ in range(AT_ONCE):
            world.change("hosts")
            await world.bench.clock.settle()
        assert world.writes() == AT_ONCE
        await world.bench.clock.advance(AT_ONCE)


async def test_another_object_has_a_rate_of_its_own(world: World) -> None:
    world.put("other")
    await world.bench.clock.settle()
    await world.churn(5, "hosts")
    world.writes()
    world.change("hosts", name="other")
    await world.bench.clock.settle()
    assert world.writes() == 1
    assert world.status("other") == {"hosts": world.wanted["hosts"]}


async def test_writes_that_fail_are_tried_again_later_and_later_and_take_no_turn(world: World) -> None:
    world.bench.api.fail(*[Answer(code=500, body={"message": "etcd"})] * 10)
    world.change("hosts")
    await world.bench.clock.advance(0.5)
    early = world.writes()
    await world.bench.clock.advance(5 * MINUTE)
    assert early + world.writes() == 11
    assert world.status() == {"hosts": 1}


async def test_a_write_on_which_the_next_step_relies_waits_for_no_turn(world: World) -> None:
    item = world.informer.store.get(key("w"))
    assert item is not None
    for number in range(AT_ONCE):
        assert await world.ahead.write(item, {}, {"place": number}) is not None
    assert await world.ahead.write(item, {}, {"place": "there"}) is None
    assert await world.ahead.write(item, {}, {"place": "there"}, at_once=True) is not None
    assert world.status()["place"] == "there"


REMEMBERED = 16384


def target(name: str = "w", part: str = "hosts") -> WriteTarget:
    return WriteTarget(WIDGET, key(name), part)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def rate(clock: VirtualClock) -> WriteRate:
    """The rate of a widget that has just been written as often as it may be at once."""
    made = WriteRate(clock)
    for _ in range(AT_ONCE):
        assert made.may_write(target())
        made.wrote(target())
    return made


async def test_who_has_to_wait_hears_once_how_long(rate: WriteRate, clock: VirtualClock) -> None:
    assert not rate.may_write(target())
    await clock.advance(0.25)
    assert not rate.may_write(target(part="instances"))
    assert rate.again([target(), target("other")]) == pytest.approx(0.75)
    assert rate.again([target()]) is None
    await clock.advance(1)
    assert rate.again([target(part="instances")]) == 0.0


async def test_a_part_whose_turn_has_come_waits_no_longer(rate: WriteRate, clock: VirtualClock) -> None:
    assert not rate.may_write(target())
    await clock.advance(1)
    assert rate.may_write(target())
    assert rate.again([target()]) is None
    rate.wrote(target())
    assert not rate.may_write(target())


async def test_a_rest_allows_no_more_at_once_than_at_first(rate: WriteRate, clock: VirtualClock) -> None:
    await clock.advance(MINUTE)
    for _ in range(AT_ONCE):
        assert rate.may_write(target())
        rate.wrote(target())
    assert not rate.may_write(target())


async def test_seconds_that_add_up_with_a_loss_still_make_a_turn(rate: WriteRate, clock: VirtualClock) -> None:
    for _ in range(10):
        await clock.advance(0.1)
        rate.may_write(target())
    assert rate.may_write(target())


def test_of_many_objects_those_written_last_are_remembered(rate: WriteRate) -> None:
    for number in range(REMEMBERED - 1):
        rate.wrote(target(f"w-{number}"))
    assert not rate.may_write(target())
    rate.wrote(target())
    for number in range(AT_ONCE - 1):
        rate.wrote(target("newest"))
        assert rate.may_write(target("newest")), number
    rate.wrote(target("newest"))
    assert not rate.may_write(target("newest"))
    assert not rate.may_write(target()), "written again, so it is not the oldest"
