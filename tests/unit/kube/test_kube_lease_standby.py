"""A replica that stands by: how it starts, stops, and how little it asks."""

from __future__ import annotations

import pytest

from support.kube.replicas import LOCK, Pair, given_back, replicas, taken_by
from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.kube.resources import LEASE
from wasmcloud_operator.kube.testing import NoAnswer, ScriptedApi


@pytest.mark.parametrize("late", [True, False], ids=["it was taken", "it was not"])
async def test_a_stop_in_the_moment_of_taking_gives_the_lease_back(late: bool):
    api = ScriptedApi(VirtualClock())
    given_back(api)
    api.fail(NoAnswer("write", late=late))
    async with replicas("one", api=api) as (one,):
        await one.clock.until(lambda: any(request.method == "PUT" for request in api.requests))
        one.tasks[1].cancel()
        await one.clock.settle()
        assert one.tasks[1].done()
        async with replicas("two", api=api) as (two,):
            assert await two.clock.until(lambda: two.leading, within=60) < 4


async def test_a_stop_while_standing_by_writes_nothing(pair: Pair):
    _, standby = await pair.elected()
    await pair.clock.advance(10)
    before = pair.api.get(LEASE, LOCK)["spec"]["holderIdentity"]
    standby.kill()
    await pair.clock.advance(1)
    assert pair.api.get(LEASE, LOCK)["spec"]["holderIdentity"] == before


async def test_a_lease_that_is_annotated_often_makes_no_storm_of_a_standby(pair: Pair):
    await pair.elected()
    await pair.clock.advance(10)
    pair.api.requests.clear()
    for number in range(500):
        body = pair.api.get(LEASE, LOCK)
        pair.api.put(LEASE, {**body, "metadata": {**body["metadata"], "annotations": {"n": str(number)}}})
        await pair.clock.advance(0.02)
    reads = [request for request in pair.api.requests if request.method == "GET" and not request.watch]
    assert len(reads) <= 20


async def test_a_lease_that_is_given_back_and_taken_often_makes_no_storm_of_a_standby():
    api = ScriptedApi(VirtualClock())
    given_back(api)
    async with replicas("one", api=api) as (one,):
        one.transport.partitioned = False
        for number in range(500):
            given_back(api, leaseTransitions=number)
            taken_by(api, f"holder-{number}")
            await one.clock.advance(0.02)
        reads = [request for request in api.requests if request.method == "GET" and not request.watch]
        assert len(reads) <= 15


async def test_a_standby_asks_for_nothing_while_another_leads(pair: Pair):
    _, standby = await pair.elected()
    await pair.clock.advance(30)
    sent = len(standby.transport.timeouts)
    await pair.clock.advance(60)
    assert len(standby.transport.timeouts) == sent  # the watch shows it


async def test_a_first_start_leads_at_once_where_nothing_can_be_in_danger():
    async with replicas("one", "two", nothing_in_danger=lambda: True) as (one, two):
        assert await one.clock.until(lambda: one.leading or two.leading) < 1
        for _ in range(100):
            await one.clock.advance(0.1)
            assert not (one.may_write() and two.may_write())


async def test_a_standby_that_knew_a_lease_takes_over_no_deleted_one_though_nothing_was_written_yet():
    async with replicas("one", "two", nothing_in_danger=lambda: True) as (one, two):
        await one.clock.until(lambda: one.leading or two.leading)
        await one.clock.advance(10)
        one.transport.api.remove(LEASE, LOCK)
        for _ in range(100):
            await one.clock.advance(0.1)
            assert not (one.may_write() and two.may_write())


async def test_a_first_start_waits_where_an_earlier_leader_may_still_write():
    async with replicas("one") as (one,):
        assert 10 <= await one.clock.until(lambda: one.leading) < 13
