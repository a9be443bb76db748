"""The list of applications: asked after news and now and then, never often, and kept while wadm is silent."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest_asyncio

from wasmcloud_operator.kube.testing import VirtualClock
from wasmcloud_operator.lattice.apps import LiveApps
from wasmcloud_operator.lattice.errors import WadmUnavailable
from wasmcloud_operator.lattice.wadm_types import model_summary

HOUR = 3600.0


class Wadm:
    """What wadm answers, and when it was asked."""

    def __init__(self, clock):
        self.clock = clock
        self.subjects = SimpleNamespace(lattice="default")
        self.answers = []
        self.asked = []
        self.silent = False

    async def list(self):
        self.asked.append(self.clock.monotonic())
        if self.silent:
            raise WadmUnavailable("wadm does not listen")
        return tuple(model_summary({"name": name, "status": status}) for name, status in self.answers)


class Bench:
    def __init__(self):
        self.clock = VirtualClock()
        self.wadm = Wadm(self.clock)
        self.told = []
        self.apps = LiveApps(self.wadm, clock=self.clock, tell=lambda _: self.told.append(self.clock.monotonic()))

    @property
    def names(self):
        return None if self.apps.apps is None else [app.name for app in self.apps.apps]


@pytest_asyncio.fixture
async def bench():
    bench = Bench()
    task = asyncio.create_task(bench.apps.run())
    yield bench
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_it_lists_at_once_in_order_and_then_every_five_minutes(bench):
    bench.wadm.answers = [("b", "deployed"), ("a", "waiting")]
    assert bench.names is None
    await bench.clock.advance(1)
    assert bench.names == ["a", "b"]
    await bench.clock.advance(HOUR)
    assert 11 <= len(bench.wadm.asked) <= 13
    assert len(bench.told) == 1  # nothing changed


async def test_news_bring_a_list_within_seconds_and_a_burst_only_one(bench):
    await bench.clock.advance(60)
    asked = len(bench.wadm.asked)
    bench.wadm.answers = [("a", "deployed")]
    for _ in range(100):
        bench.apps.stir()
        await bench.clock.advance(0.005)
    await bench.clock.advance(1)
    assert (len(bench.wadm.asked) - asked, bench.names) == (1, ["a"])


async def test_news_without_end_do_not_make_it_ask_without_end(bench):
    await bench.clock.advance(60)
    asked = len(bench.wadm.asked)
    for _ in range(600):
        bench.apps.stir()
        await bench.clock.advance(0.1)
    assert len(bench.wadm.asked) - asked <= 12


async def test_what_comes_while_it_asks_is_not_lost(bench):
    await bench.clock.advance(60)
    bench.apps.stir()
    await bench.clock.advance(1.5)  # asked; now it rests
    bench.wadm.answers = [("late", "deployed")]
    bench.apps.stir()
    await bench.clock.advance(10)
    assert bench.names == ["late"]


async def test_a_silent_wadm_is_asked_ever_less_and_the_last_answer_stands(bench):
    bench.wadm.answers = [("a", "deployed")]
    await bench.clock.advance(60)
    bench.wadm.silent = True
    bench.apps.stir()
    await bench.clock.advance(HOUR)
    before = len(bench.wadm.asked)
    assert bench.names == ["a"]
    await bench.clock.advance(HOUR)
    assert len(bench.wadm.asked) - before <= 12
    bench.wadm.silent = False
    bench.wadm.answers = []
    bench.apps.stir()
    await bench.clock.advance(10)
    assert bench.names == []
