"""Leader election on the virtual clock: at no moment may two replicas write."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wasmcloud_operator.kube import election
from wasmcloud_operator.kube.client import AlwaysOpen, Reader, Writer
from wasmcloud_operator.kube.errors import WritesForbidden
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.lease import LEASE_CODEC, Elector, LeaseLost
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.resources import CONFIG_MAP, LEASE, Key
from wasmcloud_operator.kube.testing import Answer, NoAnswer, ScriptedApi, ScriptedTransport, VirtualClock

LOCK = Key("system", "leader")


class Replica:
    """A process as the operator is one: an elector, a lease informer, and work that writes while it may."""

    def __init__(self, api: ScriptedApi, clock: VirtualClock, name: str, **settings) -> None:
        self.name = name
        self.clock = clock
        self.transport = ScriptedTransport(api)
        metrics = Metrics()
        reader = Reader(self.transport, metrics=metrics)
        plain = Writer(reader, field_manager="tests", gate=AlwaysOpen())
        self.informer = Informer.on_api(
            plain,
            LEASE,
            LEASE_CODEC,
            clock=clock,
            metrics=metrics,
            namespaces=("system",),
            field_selector="metadata.name=leader",
        )
        self.elector = Elector(
            client=plain, informer=self.informer, key=LOCK, identity=name, clock=clock, metrics=metrics, **settings
        )
        self.client = Writer(reader, field_manager="tests", gate=self.elector)
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
    def __init__(self, *names: str) -> None:
        self.clock = VirtualClock()
        self.api = ScriptedApi(self.clock)
        first, second = names or ("one", "two")
        self.one = Replica(self.api, self.clock, first)
        self.two = Replica(self.api, self.clock, second)
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
        await ended(self.clock, *tasks, self.watcher)


async def ended(clock: VirtualClock, *tasks: asyncio.Task) -> None:
    """Until these tasks have ended; one that is stopped while it takes the lease may try to give it back."""
    ending = asyncio.gather(*tasks, return_exceptions=True)
    while not ending.done():
        await clock.advance(1)


@asynccontextmanager
async def replicas(*names: str, api: ScriptedApi | None = None, **settings):
    """Replicas of these identities on one API; killed at the end."""
    api = api or ScriptedApi(VirtualClock())
    made = [Replica(api, api.clock, name, **settings) for name in names]
    try:
        yield made
    finally:
        for replica in made:
            replica.kill()
        await ended(api.clock, *(task for replica in made for task in replica.tasks))


def given_back(api: ScriptedApi, **spec: object) -> None:
    """A lease that somebody has given back."""
    free = {"holderIdentity": "", "renewTime": "2026-01-01T00:00:00.000000Z", "leaseDurationSeconds": 1}
    api.put(LEASE, {"metadata": {"name": "leader", "namespace": "system"}, "spec": {**free, **spec}})


@pytest.fixture
async def pair():
    made = Pair()
    yield made
    await made.close()


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


async def test_a_leader_whose_lease_was_taken_closes_its_gate_at_once():
    async with replicas("one") as (one,):
        await one.clock.until(lambda: one.leading)
        await one.clock.advance(10)
        taken_by(one.transport.api, "thief")
        await one.clock.until(lambda: not one.leading)
        assert one.elector.remaining() <= 0


async def test_a_lease_that_another_has_is_not_given_back():
    async with replicas("one") as (one,):
        await one.clock.until(lambda: one.leading)
        await one.clock.advance(10)
        taken_by(one.transport.api, "thief")
        one.stopping.set()
        await one.clock.advance(1)
        assert one.transport.api.get(LEASE, LOCK)["spec"]["holderIdentity"] == "thief"


def taken_by(api: ScriptedApi, holder: str, **spec: object) -> None:
    body = api.get(LEASE, LOCK)
    api.put(LEASE, {**body, "spec": {**body["spec"], "holderIdentity": holder, **spec}})


async def test_two_replicas_of_one_identity_never_both_lead():
    """The name of a pod and a process id are the same in two containers."""
    async with replicas("operator-1", "operator-1") as (one, two):
        await one.clock.until(lambda: one.leading or two.leading)
        for _ in range(300):
            await one.clock.advance(0.1)
            assert not (one.may_write() and two.may_write())


async def test_a_lease_is_held_by_another_for_as_long_as_it_says():
    api = ScriptedApi(VirtualClock())
    given_back(api)
    taken_by(api, "slow", leaseDurationSeconds=60, acquireTime="2026-01-01T00:00:00.000000Z")
    async with replicas("one", api=api) as (one,):
        assert 60 <= await one.clock.until(lambda: one.leading, within=120) < 65


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


async def test_a_garbled_answer_to_a_renewal_is_tried_again():
    async with replicas("one") as (one,):
        await one.clock.until(lambda: one.leading)
        await one.clock.advance(10)
        one.transport.api.fail(Answer("write", 200, "<html>a proxy's page</html>"))
        await one.clock.advance(60)
        assert one.leading
        assert one.lost == 0


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
    assert len(standby.transport.timeouts) == sent  # the watch tells it


async def test_a_first_start_leads_at_once_where_nothing_can_be_in_danger():
    async with replicas("one", "two", nothing_in_danger=lambda: True) as (one, two):
        assert await one.clock.until(lambda: one.leading or two.leading) < 1
        for _ in range(100):
            await one.clock.advance(0.1)
            assert not (one.may_write() and two.may_write())


async def test_a_first_start_waits_where_an_earlier_leader_may_still_write():
    async with replicas("one") as (one,):
        assert 10 <= await one.clock.until(lambda: one.leading) < 13


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
