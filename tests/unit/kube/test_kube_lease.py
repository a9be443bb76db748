"""Leader election on the virtual clock: at no moment may two replicas write."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wasmcloud_operator.kube.client import Client
from wasmcloud_operator.kube.errors import WritesForbidden
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.lease import LEASE_CODEC, Elector, LeaseLost
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.resources import CONFIG_MAP, LEASE, Key
from wasmcloud_operator.kube.testing import Answer, NoAnswer, ScriptedApi, ScriptedTransport, VirtualClock

LOCK = Key("system", "leader")


class Replica:
    """A process as the operator is one: an elector, a lease informer, and work that writes while it may."""

    def __init__(self, api: ScriptedApi, clock: VirtualClock, name: str) -> None:
        self.name = name
        self.clock = clock
        self.transport = ScriptedTransport(api)
        metrics = Metrics()
        plain = Client(self.transport, field_manager="tests", metrics=metrics)
        self.informer = Informer.on_api(
            plain,
            LEASE,
            LEASE_CODEC,
            clock=clock,
            metrics=metrics,
            namespaces=("system",),
            field_selector="metadata.name=leader",
        )
        self.elector = Elector(plain, self.informer, LOCK, name, clock, metrics)
        self.client = plain.gated(self.elector)
        self.stopping = asyncio.Event()
        self.leading = False
        self.writes: list[float] = []
        self.lost = 0
        self.tasks = [asyncio.ensure_future(self.informer.run()), asyncio.ensure_future(self.run())]

    async def run(self) -> None:
        while not self.stopping.is_set():
            try:
                await self.elector.run(self.lead)
            except LeaseLost:
                self.lost += 1

    async def lead(self) -> None:
        self.leading = True
        try:
            await self.stopping.wait()
        finally:
            self.leading = False

    def may_write(self) -> bool:
        return self.elector.remaining() >= 0.5

    def kill(self) -> None:
        for task in self.tasks:
            task.cancel()


class Pair:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.api = ScriptedApi(self.clock)
        self.one = Replica(self.api, self.clock, "one")
        self.two = Replica(self.api, self.clock, "two")
        self.watcher = asyncio.ensure_future(self.watch())

    async def watch(self) -> None:
        while True:
            writers = [replica.name for replica in (self.one, self.two) if replica.elector.remaining() > 0]
            assert len(writers) < 2, f"both may write at {self.clock.monotonic()}"
            await self.clock.sleep(0.4)

    def leader(self) -> Replica | None:
        return next((replica for replica in (self.one, self.two) if replica.leading), None)

    async def elected(self) -> tuple[Replica, Replica]:
        await self.clock.until(lambda: self.leader() is not None)
        leader = self.leader()
        return leader, self.two if leader is self.one else self.one

    async def close(self) -> None:
        for replica in (self.one, self.two):
            replica.kill()
        tasks = [*self.one.tasks, *self.two.tasks]
        if self.watcher.done() and not self.watcher.cancelled():
            self.watcher.result()
        self.watcher.cancel()
        await asyncio.gather(*tasks, self.watcher, return_exceptions=True)


@pytest.fixture
async def pair():
    made = Pair()
    yield made
    await made.close()


async def test_one_leads_and_keeps_leading(pair: Pair):
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


STEPS = st.lists(
    st.tuples(st.sampled_from(["one", "two", "both", "none"]), st.booleans(), st.floats(0.1, 40)), max_size=8
)


@settings(max_examples=100)
@given(STEPS)
def test_no_overlap_under_any_partitions_and_deletions(steps):
    async def scenario() -> None:
        pair = Pair()
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
