"""Until when a leader may write: the gate ends before the lease, whatever is slow."""

from __future__ import annotations

import asyncio

import pytest

from support.kube.replicas import LOCK, Pair, given_back, replicas, taken_by
from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.kube.errors import WritesForbidden
from wasmcloud_operator.kube.resources import CONFIG_MAP, LEASE
from wasmcloud_operator.kube.testing import ScriptedApi


async def test_a_write_ends_before_the_gate_and_the_gate_before_the_lease(pair: Pair):
    leader, standby = await pair.elected()
    await pair.clock.advance(30)
    leader.transport.partitioned = True
    await pair.clock.advance(6)
    sent = len(leader.transport.timeouts)
    writing = asyncio.ensure_future(leader.client.create(CONFIG_MAP, {"metadata": {"name": "x", "namespace": "ns"}}))
    await pair.clock.settle()
    deadline = leader.transport.timeouts[sent].total
    assert pair.clock.monotonic() + deadline <= pair.clock.monotonic() + leader.elector.remaining()
    await pair.clock.advance(deadline)
    assert writing.done()
    await asyncio.gather(writing, return_exceptions=True)
    assert not standby.leading
    await pair.clock.advance(10)
    with pytest.raises(WritesForbidden):
        await leader.client.create(CONFIG_MAP, {"metadata": {"name": "x", "namespace": "ns"}})


async def test_a_leader_whose_lease_was_taken_closes_its_gate_at_once():
    async with replicas("one") as (one,):
        await one.clock.until(lambda: one.leading)
        await one.clock.advance(10)
        taken_by(one.transport.api, "thief")
        await one.clock.until(lambda: not one.leading)
        assert one.elector.remaining() <= 0


async def test_a_gate_counts_from_the_start_of_a_slow_renewal():
    async with replicas("one") as (one,):
        clock, request = one.clock, one.transport.request
        await clock.until(lambda: one.leading)
        begun: list[float] = []

        async def slowly(method, *args, **kwargs):
            start = clock.monotonic()
            answer = await request(method, *args, **kwargs)
            await clock.sleep(3.0)
            if method == "PUT":
                begun.append(start)
            return answer

        one.transport.request = slowly
        for _ in range(200):
            await clock.advance(0.1)
            if begun:
                assert clock.monotonic() + one.elector.remaining() <= begun[-1] + 10.0 + 1e-6
        assert len(begun) > 3


async def test_a_gate_counts_from_the_start_of_a_slow_taking():
    api = ScriptedApi(VirtualClock())
    given_back(api)
    async with replicas("one", api=api) as (one,):
        clock, request = one.clock, one.transport.request

        async def slowly(*args, **kwargs):
            answer = await request(*args, **kwargs)
            await clock.sleep(4.0)
            return answer

        one.transport.request = slowly
        await clock.until(lambda: api.get(LEASE, LOCK)["spec"]["holderIdentity"] == "one")
        taken = clock.monotonic()
        await clock.until(lambda: one.elector.remaining() > 0)
        assert clock.monotonic() + one.elector.remaining() <= taken + 10.0


async def test_leading_has_ended_before_the_loss_is_announced():
    """What stops slowly may not go on while a second `run` takes the lease again."""
    async with replicas("one") as (one,):
        ended_at: list[float] = []

        async def lead() -> None:
            one.leading = True
            try:
                await one.stopping.wait()
            finally:
                await one.clock.sleep(3)
                one.leading = False
                ended_at.append(one.clock.monotonic())

        one.lead = lead
        await one.clock.until(lambda: one.leading)
        taken_by(one.transport.api, "thief")
        await one.clock.until(lambda: one.lost == 1)
        assert ended_at == [one.clock.monotonic()]


async def test_the_gate_is_closed_while_leading_ends_after_the_lease_was_taken():
    """Nine seconds of the last renewal are left, and the other may write already."""
    async with replicas("one") as (one,):
        left: list[float] = []

        async def lead() -> None:
            one.leading = True
            try:
                await one.stopping.wait()
            finally:
                for _ in range(3):
                    left.append(one.elector.remaining())
                    await one.clock.sleep(1)
                one.leading = False

        one.lead = lead
        await one.clock.until(lambda: one.leading)
        await one.clock.advance(10)
        taken_by(one.transport.api, "thief")
        await one.clock.until(lambda: one.lost == 1)
        assert len(left) == 3
        assert max(left) <= 0
