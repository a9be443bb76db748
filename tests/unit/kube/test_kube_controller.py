"""The controller and its supervision on the virtual clock."""

from __future__ import annotations

import asyncio
import itertools

import pytest
import structlog.testing

from wasmcloud_operator.kube.controller import DONE, Controller, ReconcileTimeout, Result, TerminalError
from wasmcloud_operator.kube.errors import Throttled, Unreachable
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.queue import Priority
from wasmcloud_operator.kube.supervise import supervise
from wasmcloud_operator.kube.testing import VirtualClock


class Play:
    """A controller whose reconciles do as `script` says for their key, and what came of it."""

    def __init__(self, **settings) -> None:
        self.clock = VirtualClock()
        self.metrics = Metrics()
        self.script: dict = {}
        self.calls: list[tuple[str, float]] = []
        self.reported: list[tuple[str, Exception]] = []
        self.controller: Controller[str] = Controller(
            "test", self.reconcile, clock=self.clock, metrics=self.metrics, report=self.report, **settings
        )
        self.controller.start()
        self.task = asyncio.ensure_future(self.controller.run())

    async def reconcile(self, key: str) -> Result:
        self.calls.append((key, self.clock.monotonic()))
        what = self.script.get(key, DONE)
        if callable(what):
            what = await what()
        if isinstance(what, BaseException):
            raise what
        return what

    async def report(self, key: str, error: Exception) -> None:
        self.reported.append((key, error))

    def times(self, key: str) -> list[float]:
        return [at for called, at in self.calls if called == key]

    def count(self, result: str) -> float:
        return self.metrics.registry.get_sample_value(
            "controller_runtime_reconcile_total", {"controller": "test", "result": result}
        )


@pytest.fixture
async def play():
    plays: list[Play] = []

    def make(**settings) -> Play:
        plays.append(Play(**settings))
        return plays[-1]

    yield make
    for made in plays:
        made.task.cancel()
        await asyncio.gather(made.task, return_exceptions=True)


async def hang() -> Result:
    await asyncio.Event().wait()
    return DONE


async def test_results_are_done_and_again_in_n_seconds(play):
    p = play()
    p.script["again"] = Result.waiting("its turn", 30)
    p.controller.queue.add("once")
    p.controller.queue.add("again")
    await p.clock.advance(100)
    assert p.times("once") == [0]
    assert p.times("again") == [0, 30, 60, 90]
    assert p.count("success") == 1
    assert p.count("requeue_after") == 4


async def test_a_key_with_a_priority_keeps_it_when_it_is_tried_again(play):
    """Thousands of start-up keys that fail must not become as urgent as an edit."""
    p = play(workers=1)
    priorities: list[Priority] = []
    get = p.controller.queue.get

    async def watched():
        key, priority = await get()
        priorities.append(priority)
        return key, priority

    p.controller.queue.get = watched
    p.script["bad"] = Unreachable("no")
    p.controller.queue.add("bad", Priority.BACKGROUND)
    await p.clock.advance(0.1)
    assert len(priorities) > 3
    assert set(priorities) == {Priority.BACKGROUND}


async def test_a_key_that_asks_to_come_back_does_so_in_the_background(play):
    p = play(workers=1)
    p.script["again"] = Result.waiting("its turn", 10)
    p.script["slow"] = slow(p)
    p.controller.queue.add("again")
    await p.clock.advance(9)
    p.controller.queue.add("slow")
    await p.clock.advance(2)  # "again" is due while the only worker is busy
    p.controller.queue.add("edit")
    await p.clock.advance(10)
    assert [key for key, _ in p.calls[2:]] == ["edit", "again"]


async def test_a_server_that_asks_to_wait_is_not_asked_again_before(play):
    p = play(workers=1)
    p.script["bad"] = Throttled(429, "TooManyRequests", "please wait", retry_after=5.0)
    p.controller.queue.add("bad")
    await p.clock.advance(4.9)
    assert p.times("bad") == [0]
    await p.clock.advance(0.2)
    assert p.times("bad") == [0, 5]
    p.script["bad"] = Throttled(429, "TooManyRequests", "come tomorrow", retry_after=86_400.0)
    await p.clock.advance(5)
    await p.clock.advance(120)
    assert len(p.times("bad")) == 4


async def test_keys_added_before_the_start_make_no_work(play):
    """A standby keeps caches, not queues: what it saw come and go must not stand before an edit after a failover."""
    clock = VirtualClock()
    done: list[str] = []

    async def reconcile(key: str) -> Result:
        done.append(key)
        await clock.sleep(0.1)
        return DONE

    metrics = Metrics()
    controller: Controller[str] = Controller("c", reconcile, clock=clock, metrics=metrics, workers=8)
    for number in range(5_000):
        controller.queue.add(f"gone-{number}")
        controller.queue.add_after(f"later-{number}", 1)
    assert len(controller.queue) == 0
    assert metrics.registry.get_sample_value("workqueue_depth", {"name": "c"}) == 0
    task = asyncio.create_task(controller.run())
    await clock.advance(0.05)
    controller.queue.add("edit")
    await clock.advance(2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert done == ["edit"]


async def test_a_namespace_behind_a_slow_webhook_keeps_no_other_waiting(play):
    p = play(workers=8, tenant=lambda key: key.partition("/")[0])
    p.script = {f"slow/{number}": slow(p) for number in range(80)}
    for key in p.script:
        p.controller.queue.add(key)
    await p.clock.advance(0.1)
    assert len(p.calls) == 8
    p.controller.queue.add("friendly/a", Priority.BACKGROUND)
    await p.clock.settle()
    assert p.times("friendly/a") == [pytest.approx(0.1)]


async def test_each_change_of_an_outcome_is_logged_once_with_what_it_waits_for(play):
    p = play()
    with structlog.testing.capture_logs() as logs:
        p.script["a"] = Result.waiting("list of lattice x", 10)
        p.controller.queue.add("a")
        await p.clock.advance(100)
        p.script["a"] = Unreachable("no route")
        await p.clock.advance(10)
        p.script["a"] = DONE
        await p.clock.advance(100)
    logged = [(entry["outcome"], entry["waits_for"]) for entry in logs if entry["event"] == "reconciled"]
    assert logged == [
        ("requeue_after", "list of lattice x"),
        ("error", "another try, after Unreachable: no route"),
        ("success", None),
    ]
    first = next(entry for entry in logs if entry["event"] == "reconciled")
    assert (first["key"], first["priority"], first["log_level"]) == ("a", "fresh", "debug")
    assert first["ms"] >= 0


async def test_the_state_shows_the_queue_and_what_each_key_waits_for(play):
    p = play(workers=1)
    p.script |= {"waits": Result.waiting("list of lattice x"), "hangs": hang, "later": Result.waiting("its turn", 5)}
    for key in ("waits", "later", "hangs", "ready"):
        p.controller.queue.add(key)
    await p.clock.advance(3)
    assert p.controller.state() == {
        "queue": {"ready": 1, "delayed": 1, "secondsInWork": {"hangs": 3.0}},
        "keys": {
            "waits": {
                "outcome": "success",
                "waitsFor": "list of lattice x",
                "priority": "fresh",
                "milliseconds": 0.0,
                "secondsAgo": 3.0,
                "failures": 0,
            },
            "later": {
                "outcome": "requeue_after",
                "waitsFor": "its turn",
                "priority": "fresh",
                "milliseconds": 0.0,
                "secondsAgo": 3.0,
                "failures": 0,
            },
        },
    }


async def test_the_outcomes_that_are_remembered_are_bounded(play):
    p = play()
    for number in range(5_000):
        p.controller.queue.add(f"key{number}")
    await p.clock.advance(1)
    assert len(p.calls) == 5_000
    assert len(p.controller.state()["keys"]) == 4096


async def test_a_failing_key_backs_off_and_starts_over_after_success(play):
    p = play()
    p.script["bad"] = Unreachable("no")
    p.controller.queue.add("bad")
    await p.clock.advance(0.2)
    assert p.times("bad") == pytest.approx([0, 0.005, 0.015, 0.035, 0.075, 0.155])
    assert p.controller.queue.failures("bad") == 6
    assert p.metrics.registry.get_sample_value("controller_runtime_reconcile_errors_total", {"controller": "test"}) == 6
    del p.script["bad"]
    await p.clock.advance(1)
    assert p.controller.queue.failures("bad") == 0
    assert [key for key, _ in p.reported] == ["bad"] * 6


async def test_a_terminal_error_waits_for_a_change(play):
    p = play()
    p.script["bad"] = TerminalError("spec is wrong")
    p.controller.queue.add("bad")
    await p.clock.advance(10_000)
    assert p.times("bad") == [0]
    assert [str(error) for _, error in p.reported] == ["spec is wrong"]
    p.controller.queue.add("bad")
    await p.clock.advance(1)
    assert len(p.times("bad")) == 2
    assert p.count("terminal") == 2


async def test_a_hanging_key_is_cut_off_and_delays_no_other(play):
    p = play(workers=2)
    p.script["hangs"] = hang
    p.controller.queue.add("hangs")
    await p.clock.settle()
    for number in range(50):
        p.controller.queue.add(f"key{number}")
    await p.clock.advance(0.001)
    assert all(p.times(f"key{number}") == [0] for number in range(50))
    await p.clock.advance(60)
    assert isinstance(p.reported[0][1], ReconcileTimeout)
    assert p.count("error") == 1
    await p.clock.advance(1)
    assert len(p.times("hangs")) == 2


async def test_keys_that_raise_anything_delay_no_other(play):
    p = play(workers=2)
    for number, error in enumerate(
        [ValueError("x"), KeyError("y"), ExceptionGroup("g", [OSError()]), RecursionError()]
    ):
        p.script[f"bad{number}"] = error
        p.controller.queue.add(f"bad{number}")
    p.controller.queue.add("good")
    await p.clock.advance(0.001)
    assert p.times("good") == [0]
    assert not p.task.done()


async def test_a_cancelled_inner_future_ends_no_worker(play):
    p = play(workers=1)

    async def awaits_something_cancelled() -> Result:
        inner = asyncio.get_running_loop().create_future()
        inner.cancel()
        await inner
        return DONE

    p.script["odd"] = awaits_something_cancelled
    p.controller.queue.add("odd")
    p.controller.queue.add("good")
    await p.clock.advance(0.001)
    assert p.times("good") == [0]
    assert p.count("error") == 1


async def test_a_timeout_of_something_else_is_not_taken_for_the_reconciles_own(play):
    p = play()
    p.script["a"] = TimeoutError("NATS")
    p.controller.queue.add("a")
    await p.clock.advance(0.001)
    assert "NATS" in str(p.reported[0][1])


async def test_a_report_that_hangs_or_fails_is_cut_off(play):
    p = play(workers=1)

    async def report(key: str, error: Exception) -> None:
        if key == "hangs":
            await asyncio.Event().wait()
        raise OSError

    p.controller._report = report
    p.script |= {"hangs": TerminalError(), "raises": TerminalError()}
    for key in ("hangs", "raises", "good"):
        p.controller.queue.add(key)
    await p.clock.advance(11)
    assert p.times("good") == [10]


async def test_a_key_has_one_worker_at_a_time(play):
    p = play(workers=4)
    running: set[str] = set()

    async def check() -> Result:
        assert "key" not in running
        running.add("key")
        await p.clock.sleep(5)
        running.discard("key")
        return DONE

    p.script["key"] = check
    p.controller.queue.add("key")
    await p.clock.advance(1)
    for _ in range(5):
        p.controller.queue.add("key")
    await p.clock.advance(20)
    assert p.times("key") == [0, 5]
    assert not p.reported


async def test_drain_waits_for_work_and_takes_no_more(play):
    p = play()
    p.script["slow"] = slow(p)
    p.controller.queue.add("slow")
    await p.clock.settle()
    draining = asyncio.create_task(p.controller.drain(20))
    await p.clock.settle()
    p.controller.queue.add("more")
    await p.clock.advance(4)
    assert not draining.done()
    await p.clock.advance(2)
    assert draining.result() is True
    assert p.times("more") == []
    assert p.task.done()


def slow(p: Play):
    async def work() -> Result:
        await p.clock.sleep(5)
        return DONE

    return work


async def test_drain_gives_up_after_its_time(play):
    p = play()
    p.script["hangs"] = hang
    p.controller.queue.add("hangs")
    await p.clock.settle()
    draining = asyncio.create_task(p.controller.drain(20))
    await p.clock.advance(21)
    assert draining.result() is False


async def test_five_thousand_edits_are_not_held_up_by_ten_thousand_start_up_keys(play):
    p = play(workers=8)
    p.script = dict.fromkeys((f"start{n}" for n in range(10_000)), slow(p))
    for key in p.script:
        p.controller.queue.add(key, Priority.BACKGROUND)
    await p.clock.advance(1)
    p.controller.queue.add("edit")
    await p.clock.advance(5)
    assert p.times("edit") == [5]


async def test_a_task_that_dies_is_started_again_within_a_second():
    clock, metrics = VirtualClock(), Metrics()
    starts: list[float] = []

    async def dies() -> None:
        starts.append(clock.monotonic())
        if len(starts) % 3 == 1:
            raise ValueError
        if len(starts) % 3 == 2:
            inner = asyncio.get_running_loop().create_future()
            inner.cancel()
            await inner

    task = asyncio.create_task(supervise("task", dies, clock=clock, metrics=metrics))
    await clock.advance(20)
    gaps = [after - before for before, after in itertools.pairwise(starts)]
    assert len(starts) > 20
    assert max(gaps) < 1
    assert metrics.registry.get_sample_value("kube_task_restarts_total", {"task": "task"}) == len(starts)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


async def test_a_worker_that_dies_is_replaced(play):
    p = play(workers=1)
    count = p.controller._count

    def broken(result: str) -> None:
        p.controller._count = count
        raise MemoryError

    p.controller._count = broken
    p.controller.queue.add("a")
    p.controller.queue.add("b")
    await p.clock.advance(1)
    assert len(p.times("b")) == 1


async def test_a_terminal_error_starts_the_backoff_over(play):
    p = play()
    p.script["bad"] = Unreachable("no")
    p.controller.queue.add("bad")
    await p.clock.advance(0.1)
    p.script["bad"] = TerminalError("spec is wrong")
    await p.clock.advance(1)
    assert p.controller.queue.failures("bad") == 0
