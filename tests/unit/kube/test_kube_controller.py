"""The controller and its supervision on the virtual clock."""

from __future__ import annotations

import asyncio

import pytest
import structlog.testing

from support.kube.play import Play, hang
from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.kube.controller import DONE, Controller, Result
from wasmcloud_operator.kube.errors import Throttled, Unreachable
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.queue import Priority


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


async def test_a_server_that_is_overloaded_and_does_not_say_for_how_long_is_not_asked_again_at_once(play):
    p = play(workers=1)
    p.script["bad"] = Throttled(429, "TooManyRequests", "no more")
    p.controller.queue.add("bad")
    await p.clock.advance(5)
    assert p.times("bad") == [0, 1, 2, 3, 4, 5]


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
