"""Leader election on the virtual clock: at no moment may two replicas write."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.kube.replicas import LOCK, Pair, given_back, replicas, taken_by
from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.kube import election
from wasmcloud_operator.kube.resources import LEASE
from wasmcloud_operator.kube.testing import Answer, Fault, NoAnswer, ScriptedApi


async def test_one_replica_leads_and_keeps_leading(pair: Pair):
    leader, standby = await pair.elected()
    await pair.clock.advance(600)
    assert leader.leading
    assert not standby.leading
    assert leader.lost == 0
    lease = pair.api.get(LEASE, LOCK)
    assert lease["spec"]["holderIdentity"] == leader.name
    assert lease["spec"]["leaseDurationSeconds"] == 15


async def test_a_clean_stop_hands_over_within_three_seconds(pair: Pair):
    leader, standby = await pair.elected()
    await pair.clock.advance(30)
    leader.stopping.set()
    assert await pair.clock.until(lambda: standby.leading) < 3
    assert pair.api.get(LEASE, LOCK)["spec"]["leaseTransitions"] >= 1
    assert leader.elector.remaining() <= 0


async def test_a_clean_stop_hands_over_also_when_a_renewal_was_cut_off(pair: Pair):
    leader, standby = await pair.elected()
    await pair.clock.advance(0.5)
    pair.api.fail(NoAnswer("write", late=True))
    await pair.clock.advance(2)  # the renewal has reached the server, its answer never comes
    leader.stopping.set()
    assert await pair.clock.until(lambda: standby.leading) < 3


async def test_a_kill_is_taken_over_within_twenty_seconds(pair: Pair):
    leader, standby = await pair.elected()
    await pair.clock.advance(31)
    leader.kill()
    took = await pair.clock.until(lambda: standby.leading)
    assert 10 < took < 20


async def test_a_partition_shows_no_overlap(pair: Pair):
    """The leader is cut off: its gate closes before anybody else leads, and it comes back as a standby."""
    leader, standby = await pair.elected()
    await pair.clock.advance(60)
    leader.transport.partitioned = True
    assert await pair.clock.until(lambda: leader.elector.remaining() <= 0, within=20) <= 10
    assert not standby.leading
    assert await pair.clock.until(lambda: not leader.leading, within=20) < 0.1
    await pair.clock.until(lambda: standby.leading, within=20)
    leader.transport.partitioned = False
    await pair.clock.advance(120)
    assert standby.leading
    assert not leader.leading
    assert leader.lost == 1


async def test_failing_renewals_are_tried_again_within_the_deadline(pair: Pair):
    leader, _ = await pair.elected()
    await pair.clock.advance(1)
    pair.api.fail(Answer("write", 503, "<html>"), NoAnswer("write"))
    await pair.clock.advance(60)
    assert leader.leading
    assert leader.lost == 0


async def test_a_deleted_lease_makes_no_second_leader(pair: Pair):
    leader, standby = await pair.elected()
    await pair.clock.advance(30)
    pair.api.remove(LEASE, LOCK)
    await pair.clock.advance(60)
    assert leader.leading
    assert leader.lost == 0
    assert not standby.leading
    assert pair.api.get(LEASE, LOCK)["spec"]["holderIdentity"] == leader.name


async def test_a_stranger_that_annotates_the_lease_does_no_harm(pair: Pair):
    leader, _ = await pair.elected()
    for number in range(10):
        await pair.clock.advance(3)
        body = pair.api.get(LEASE, LOCK)
        pair.api.put(LEASE, {**body, "metadata": {**body["metadata"], "annotations": {"n": str(number)}}})
    await pair.clock.advance(10)
    assert leader.leading
    assert leader.lost == 0
    assert pair.api.get(LEASE, LOCK)["metadata"]["annotations"] == {"n": "9"}


async def test_a_lease_taken_by_force_ends_leading_at_the_next_renewal(pair: Pair):
    leader, _ = await pair.elected()
    await pair.clock.advance(30)
    pair.watcher.cancel()
    body = pair.api.get(LEASE, LOCK)
    pair.api.put(LEASE, {**body, "spec": {**body["spec"], "holderIdentity": "thief"}})
    assert await pair.clock.until(lambda: not leader.leading) <= 2


async def test_a_lease_that_another_has_is_not_given_back():
    async with replicas("one") as (one,):
        await one.clock.until(lambda: one.leading)
        await one.clock.advance(10)
        taken_by(one.transport.api, "thief")
        one.stopping.set()
        await one.clock.advance(1)
        assert one.transport.api.get(LEASE, LOCK)["spec"]["holderIdentity"] == "thief"


async def test_two_replicas_of_one_identity_never_both_lead():
    """The name of a pod and a process id are the same in two containers."""
    async with replicas("operator-1", "operator-1") as (one, two):
        await one.clock.until(lambda: one.leading or two.leading)
        for _ in range(300):
            await one.clock.advance(0.1)
            assert not (one.may_write() and two.may_write())


@pytest.mark.parametrize("fault", [NoAnswer("write"), Answer("write", 503)], ids=["lost", "refused"])
async def test_two_replicas_of_one_identity_that_take_the_lease_at_one_moment_never_both_lead(fault: Fault):
    """One of them hears nothing of it, and then sees a lease of its name, taken when it tried to."""
    api = ScriptedApi(VirtualClock())
    given_back(api)
    async with replicas("operator-1", "operator-1", api=api) as (one, two):
        api.fail(fault)
        for _ in range(300):
            await api.clock.advance(0.1)
            assert not (one.may_write() and two.may_write())
        assert one.leading or two.leading


async def test_a_lease_is_held_by_another_for_as_long_as_it_says():
    api = ScriptedApi(VirtualClock())
    given_back(api)
    taken_by(api, "slow", leaseDurationSeconds=60, acquireTime="2026-01-01T00:00:00.000000Z")
    async with replicas("one", api=api) as (one,):
        assert 60 <= await one.clock.until(lambda: one.leading, within=120) < 65


async def test_a_garbled_answer_to_a_renewal_is_tried_again():
    async with replicas("one") as (one,):
        await one.clock.until(lambda: one.leading)
        await one.clock.advance(10)
        one.transport.api.fail(Answer("write", 200, "<html>a proxy's page</html>"))
        await one.clock.advance(60)
        assert one.leading
        assert one.lost == 0


async def test_the_state_is_shown(pair: Pair):
    leader, standby = await pair.elected()
    await pair.clock.advance(10)
    assert leader.elector.state()["state"] == "leading"
    shown = standby.elector.state()
    assert (shown["state"], shown["holder"]) == ("standing by", leader.name)
    assert shown["situation"] == "held by another, who renewed it lately"


def test_there_is_a_step_for_each_state_and_situation():
    assert election.STEPS.keys() == set(itertools.product((election.Candidate, election.Leading), election.Situation))


STEPS = st.lists(
    st.tuples(st.sampled_from(["one", "two", "both", "none"]), st.booleans(), st.floats(0.1, 40)), max_size=8
)


@settings(max_examples=100)
@given(STEPS, st.booleans())
def test_no_overlap_under_any_partitions_and_deletions(steps, one_identity):
    async def scenario() -> None:
        pair = Pair("pod", "pod") if one_identity else Pair("one", "two")
        try:
            for cut_off, delete, seconds in steps:
                if delete and pair.api.get(LEASE, LOCK) is not None:
                    pair.api.remove(LEASE, LOCK)
                pair.one.transport.partitioned = cut_off in ("one", "both")
                pair.two.transport.partitioned = cut_off in ("two", "both")
                await pair.clock.advance(seconds)
                assert not pair.watcher.done(), pair.watcher.result()
            pair.one.transport.partitioned = pair.two.transport.partitioned = False
            await pair.clock.until(lambda: pair.leader() is not None, within=120)
        finally:
            await pair.close()

    asyncio.run(scenario())
