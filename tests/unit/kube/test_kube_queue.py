"""The laws of the work queue, against a model that is too simple to be wrong."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.kube.backoff import RateLimiter
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.queue import Priority, QueueClosed, WorkQueue
from wasmcloud_operator.kube.turns import Shares

KEYS = st.sampled_from(["a1", "a2", "a3", "a4", "b1", "b2", "c1"])
SHARES = Shares(limit=3, spare=2, share=1)
PRIORITIES = st.sampled_from(Priority)
METRICS = Metrics()


class QueueLaws(RuleBasedStateMachine):
    """The queue next to a dict of what must be served when, and a set of what is in work."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = VirtualClock()
        self.queue: WorkQueue[str] = WorkQueue(
            "laws",
            self.clock,
            metrics=METRICS,
            limiter=RateLimiter(1.0, 60.0),
            tenant=lambda key: key[0],
            shares=SHARES,
        )
        self.queue.open()
        self.waiting: dict[str, tuple[float, Priority]] = {}
        self.working: dict[str, Priority] = {}
        self.failures: dict[str, int] = {}

    def run(self, awaitable):
        return self.loop.run_until_complete(awaitable)

    def expect(self, key: str, ready_at: float, priority: Priority) -> None:
        before = self.waiting.get(key)
        if before is not None:
            ready_at, priority = min(before[0], ready_at), max(before[1], priority)
        self.waiting[key] = (ready_at, priority)

    @rule(key=KEYS, priority=PRIORITIES)
    def add(self, key: str, priority: Priority) -> None:
        self.run(self.calling(lambda: self.queue.add(key, priority)))
        self.expect(key, self.clock.monotonic(), priority)

    @rule(key=KEYS, seconds=st.integers(0, 30), priority=PRIORITIES)
    def add_after(self, key: str, seconds: int, priority: Priority) -> None:
        self.run(self.calling(lambda: self.queue.add_after(key, seconds, priority)))
        self.expect(key, self.clock.monotonic() + seconds, priority)

    @rule(key=KEYS, priority=PRIORITIES)
    def add_rate_limited(self, key: str, priority: Priority) -> None:
        delays: list[float] = []
        self.run(self.calling(lambda: delays.append(self.queue.add_rate_limited(key, priority))))
        failures = self.failures.get(key, 0)
        assert delays == [min(60.0, 2.0**failures)]
        self.failures[key] = failures + 1
        self.expect(key, self.clock.monotonic() + delays[0], priority)

    @rule(key=KEYS)
    def forget(self, key: str) -> None:
        self.queue.forget(key)
        self.failures.pop(key, None)

    @rule(seconds=st.integers(0, 20))
    def time_passes(self, seconds: int) -> None:
        self.run(self.clock.advance(seconds))

    def held(self, key: str) -> int:
        return sum(other[0] == key[0] for other in self.working)

    def may_be_worked_on(self, key: str) -> bool:
        """Within the limit whoever comes; beyond it only a tenant that holds less than its share."""
        busy = len(self.working)
        return busy < SHARES.limit or (busy < SHARES.total and self.held(key) < SHARES.share)

    @rule()
    def get(self) -> None:
        """A worker asks: it gets the best of what is due and may be worked on, and waits exactly if there is none."""
        now = self.clock.monotonic()
        due = {
            key: entry
            for key, entry in self.waiting.items()
            if entry[0] <= now and key not in self.working and self.may_be_worked_on(key)
        }
        taken = self.run(self.try_get())
        if not due:
            assert taken is None
            return
        assert taken is not None, f"{due} is due and nothing was handed out"
        key, priority = taken
        assert key in due, f"{key} was handed out and should not have been: {due}"
        assert priority == due[key][1] == max(entry[1] for entry in due.values())
        assert self.held(key) == min(self.held(other) for other, entry in due.items() if entry[1] == priority)
        del self.waiting[key]
        self.working[key] = priority

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.working)))
        self.run(self.calling(lambda: self.queue.done(key)))
        del self.working[key]

    @invariant()
    def counts(self) -> None:
        now = self.clock.monotonic()
        assert len(self.queue) == len(self.waiting)
        assert self.queue.depth() == sum(ready_at <= now for ready_at, _ in self.waiting.values())
        assert len(self.queue.running_seconds()) == len(self.working)
        for key in self.failures:
            assert self.queue.failures(key) == self.failures.get(key, 0)

    async def calling(self, call) -> None:
        call()
        await self.clock.settle()

    async def try_get(self) -> tuple[str, Priority] | None:
        getting = asyncio.create_task(self.queue.get())
        await self.clock.settle()
        if getting.done():
            return getting.result()
        getting.cancel()
        await asyncio.wait({getting})
        return None

    def teardown(self) -> None:
        """Nothing is lost: with time and workers enough every key that is owed is served, once."""
        served: list[str] = []
        for key in list(self.working):
            self.queue.done(key)
        self.run(self.clock.advance(100))
        while (taken := self.run(self.try_get())) is not None:
            served.append(taken[0])
            self.queue.done(taken[0])
        self.loop.close()
        assert sorted(served) == sorted(self.waiting)


TestQueueLaws = QueueLaws.TestCase
TestQueueLaws.settings = settings(max_examples=60, stateful_step_count=40)


def opened(queue: WorkQueue) -> WorkQueue:
    queue.open()
    return queue


def make(clock: VirtualClock) -> WorkQueue[str]:
    return opened(WorkQueue("q", clock, metrics=METRICS))


async def test_a_waiting_worker_is_woken_by_the_timer_of_a_delayed_key():
    clock = VirtualClock()
    queue = make(clock)
    queue.add_after("late", 10)
    queue.add_after("early", 5)
    taken: list[tuple[str, float]] = []

    async def worker() -> None:
        while True:
            key, _ = await queue.get()
            taken.append((key, clock.monotonic()))
            queue.done(key)

    task = asyncio.create_task(worker())
    await clock.advance(20)
    task.cancel()
    assert taken == [("early", 5.0), ("late", 10.0)]


async def test_a_fresh_edit_overtakes_ten_thousand_start_up_keys():
    clock = VirtualClock()
    workers = 8
    queue: WorkQueue[int] = opened(WorkQueue("priority", clock, metrics=METRICS))
    for number in range(10_000):
        queue.add(number, Priority.BACKGROUND)
    in_work = [(await queue.get())[0] for _ in range(workers)]
    queue.add(9_999)  # an edit of one of them
    queue.add(20_000)  # and of a new one
    queue.done(in_work[0])
    assert (await queue.get()) == (9_999, Priority.FRESH)
    queue.done(in_work[1])
    assert (await queue.get()) == (20_000, Priority.FRESH)


async def test_within_a_priority_first_come_is_first_served():
    queue = make(VirtualClock())
    for key in "cab":
        queue.add(key)
    queue.add("c")
    assert [(await queue.get())[0] for _ in range(3)] == ["c", "a", "b"]


def tenants(clock: VirtualClock, shares: Shares) -> WorkQueue[str]:
    """Keys whose first letter is their tenant."""
    return opened(WorkQueue("tenants", clock, metrics=METRICS, tenant=lambda key: key[0], shares=shares))


async def test_a_tenant_that_waits_takes_turns_with_one_that_has_thousands_of_keys():
    queue = tenants(VirtualClock(), Shares(1))
    for number in range(5_000):
        queue.add(f"a{number}")
    queue.add("b1")
    queue.add("b2")
    served = []
    for _ in range(5):
        key, _ = await queue.get()
        served.append(key)
        queue.done(key)
    assert served == ["a0", "b1", "a1", "b2", "a2"]


async def test_a_tenant_with_slow_keys_leaves_slots_to_others():
    queue = tenants(VirtualClock(), Shares.beside(8))
    for number in range(100):
        queue.add(f"a{number}")
    slow = [(await queue.get())[0] for _ in range(8)]
    assert all(key[0] == "a" for key in slow)  # nobody else waits: all that there is
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.add("b1", Priority.BACKGROUND)
    assert (await waiting)[0] == "b1"


async def test_a_slot_that_becomes_free_goes_to_a_worker_that_waits_for_one():
    queue = tenants(VirtualClock(), Shares(1))
    queue.add("a1")
    queue.add("a2")
    assert (await queue.get())[0] == "a1"
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.done("a1")
    assert (await waiting)[0] == "a2"


async def test_turns_leave_nothing_behind():
    queue = tenants(VirtualClock(), Shares.beside(4))
    for number in range(3_000):
        queue.add(f"{chr(1000 + number)}")
        if number % 2:
            for _ in range(2):
                key, _ = await queue.get()
                queue.add(key)
                queue.done(key)
                queue.done((await queue.get())[0])
    assert len(queue._ready._tenants) == len(queue) == 0
    assert len(queue._ready._heap) < 100


async def test_a_wake_up_for_a_cancelled_worker_goes_to_another():
    clock = VirtualClock()
    queue = make(clock)
    first, second = (asyncio.create_task(queue.get()) for _ in range(2))
    await clock.settle()
    queue.add("key")
    first.cancel()
    await clock.settle()
    assert second.done()
    assert (await second)[0] == "key"


async def test_close_ends_the_waiting_and_lets_work_finish():
    clock = VirtualClock()
    queue = make(clock)
    queue.add("working")
    await queue.get()
    waiting = asyncio.create_task(queue.get())
    await clock.settle()
    queue.close()
    queue.add("too late")
    await clock.settle()
    with pytest.raises(QueueClosed):
        await waiting
    drained = asyncio.create_task(queue.drained())
    await clock.settle()
    assert not drained.done()
    queue.done("working")
    await clock.settle()
    assert drained.done()
    assert len(queue) == 0


async def test_a_key_that_is_delayed_again_and_again_leaves_nothing_behind():
    clock = VirtualClock()
    queue = make(clock)
    for number in range(5_000):
        queue.add_after("key", 10_000 - number)
    assert len(queue._delayed) < 100


async def test_keys_that_are_due_at_one_moment_wake_as_many_workers():
    clock = VirtualClock()
    queue = make(clock)
    queue.add_after("a", 5)
    queue.add_after("b", 5)
    waiting = [asyncio.create_task(queue.get()) for _ in range(2)]
    await clock.advance(5)
    assert sorted(task.result()[0] for task in waiting) == ["a", "b"]
