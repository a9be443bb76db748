"""What the controller does with keys that fail, hang or raise, and with workers and tasks that die."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from support.kube.play import hang
from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.kube.controller import DONE, ReconcileTimeout, Result, TerminalError
from wasmcloud_operator.kube.errors import Unreachable
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.supervise import supervise


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
