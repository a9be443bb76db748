"""The list of applications: asked after news and now and then, never often, and kept while wadm is silent."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest_asyncio

from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.lattice.errors import WadmUnavailable
from wasmcloud_operator.lattice.ledger import AppsListed, AppsNotListed, Ledger
from wasmcloud_operator.lattice.listing import AppLister
from wasmcloud_operator.lattice.wadm_types import model_summary

HOUR = 3600.0


class Wadm:
    """What wadm answers, and when it was asked."""

    def __init__(self, clock):
        self.clock = clock
        self.subjects = SimpleNamespace(lattice="default")
        self.answers = [("b", "deployed"), ("a", "waiting")]
        self.asked = []
        self.pinged = []
        self.silent = False
        self.held = None

    async def list(self):
        self.asked.append(self.clock.monotonic())
        answers = self.answers
        if self.held is not None:
            await self.held.wait()
        if self.silent:
            raise WadmUnavailable("wadm does not listen")
        return tuple(model_summary({"name": name, "status": status}) for name, status in answers)

    async def ping(self):
        self.pinged.append(self.clock.monotonic())
        if self.silent:
            raise WadmUnavailable("wadm does not listen")


class Bench:
    def __init__(self):
        self.clock = VirtualClock()
        self.wadm = Wadm(self.clock)
        self.connection = SimpleNamespace(state=SimpleNamespace(connected=True))
        self.heard = []
        self.ledger = Ledger("default", clock=self.clock)
        self.lister = AppLister(self.connection, self.wadm, self.ledger, clock=self.clock, notify=self.notify)
        self.lists = []

    def notify(self, event):
        self.heard.append(event)
        if isinstance(event, AppsListed) and event.changed:
            self.lists.append(self.ledger.listed)

    def connect(self, connected=True):
        self.connection.state = SimpleNamespace(connected=connected)
        self.lister.connection_changed()

    @property
    def changes(self):
        return [news for news in self.heard if isinstance(news, AppsListed) and news.changed]

    @property
    def occasions(self):
        return [news.occasion for news in self.heard if isinstance(news, AppsListed)]

    @property
    def names(self):
        return None if self.ledger.listed is None else [app.name for app in self.ledger.listed]


@pytest_asyncio.fixture
async def bench():
    bench = Bench()
    task = asyncio.create_task(bench.lister.run())
    yield bench
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_wadm_is_listed_at_once_then_every_five_minutes(bench):
    await bench.clock.advance(0)
    assert bench.names == ["a", "b"]
    await bench.clock.advance(HOUR)
    assert 11 <= len(bench.wadm.asked) <= 13
    assert len(bench.changes) == 1
    assert bench.occasions == ["connection", *["resync"] * (len(bench.wadm.asked) - 1)]


async def test_news_bring_a_list_within_seconds_and_a_burst_only_one(bench):
    await bench.clock.advance(60)
    asked = len(bench.wadm.asked)
    bench.wadm.answers = [("a", "deployed")]
    for _ in range(100):
        bench.lister.request_refresh()
        await bench.clock.advance(0.005)
    await bench.clock.advance(1)
    assert (len(bench.wadm.asked) - asked, bench.names) == (1, ["a"])


async def test_while_a_burst_lasts_wadm_is_left_alone(bench):
    await bench.clock.advance(60)
    asked = len(bench.wadm.asked)
    for _ in range(30):
        bench.lister.request_refresh()
        await bench.clock.advance(0.1)
    assert len(bench.wadm.asked) == asked
    await bench.clock.advance(1)
    assert len(bench.wadm.asked) == asked + 1


async def test_news_without_end_do_not_make_it_ask_without_end(bench):
    await bench.clock.advance(60)
    asked = len(bench.wadm.asked)
    for _ in range(600):
        bench.lister.request_refresh()
        await bench.clock.advance(0.1)
    assert len(bench.wadm.asked) - asked <= 12


async def test_a_push_during_a_list_is_not_lost(bench):
    await bench.clock.advance(60)
    bench.lister.request_refresh()
    await bench.clock.advance(1.5)  # asked; now it rests
    bench.wadm.answers = [("late", "deployed")]
    bench.lister.request_refresh()
    await bench.clock.advance(10)
    assert bench.names == ["late"]


async def test_a_silent_wadm_is_asked_ever_less_reported_once_and_its_last_answer_stands(bench):
    await bench.clock.advance(60)
    bench.wadm.silent = True
    bench.lister.request_refresh()
    await bench.clock.advance(HOUR)
    assert bench.names == ["a", "b"]
    assert bench.heard.count(AppsNotListed()) == 1
    before = len(bench.wadm.asked)
    await bench.clock.advance(60)
    assert len(bench.wadm.asked) - before == 4
    bench.wadm.silent = False
    bench.wadm.answers = []
    await bench.clock.advance(15)
    assert bench.names == []


async def test_a_wadm_that_listed_before_is_reported_silent_only_after_some_attempts(bench):
    await bench.clock.advance(60)
    bench.wadm.silent = True
    bench.lister.request_refresh()
    await bench.clock.advance(10)
    assert AppsNotListed() not in bench.heard
    assert bench.ledger.current
    await bench.clock.advance(10)
    assert bench.heard[-1] == AppsNotListed()
    assert not bench.ledger.current
    bench.wadm.silent = False
    await bench.clock.advance(15)
    assert bench.occasions[-1] == "connection", "all of it is news"


async def test_a_silent_wadm_is_reported_at_once_on_a_new_connection(bench):
    await bench.clock.advance(60)
    bench.wadm.silent = True
    bench.connect()
    await bench.clock.advance(0)
    assert bench.heard[1:] == [AppsNotListed()]
    await bench.clock.advance(60)
    assert bench.heard[1:] == [AppsNotListed()]


async def test_a_new_connection_brings_a_list_at_once(bench):
    await bench.clock.advance(60)
    bench.lister.request_refresh()
    await bench.clock.advance(1.5)  # asked; the next push would have to wait
    asked = len(bench.wadm.asked)
    bench.connect(False)
    assert not bench.ledger.current
    await bench.clock.advance(HOUR)
    assert len(bench.wadm.asked) == asked
    bench.connect()
    await bench.clock.advance(0)
    assert len(bench.wadm.asked) == asked + 1
    assert bench.ledger.current
    assert bench.occasions == ["connection", "pushes", "connection"]


async def test_an_answer_from_before_a_new_connection_does_not_count(bench):
    await bench.clock.advance(60)
    bench.wadm.answers = [("before", "deployed")]
    bench.wadm.held = asyncio.Event()
    bench.lister.request_refresh()
    await bench.clock.advance(1.5)
    bench.connect()
    held, bench.wadm.held = bench.wadm.held, None
    bench.wadm.answers = [("after", "deployed")]
    held.set()
    await bench.clock.advance(1)
    assert [apps[0].name for apps in bench.lists if apps] == ["a", "after"]


async def test_pushes_without_end_do_not_keep_the_resync_away(bench):
    for _ in range(100):
        bench.lister.request_refresh()
        await bench.clock.advance(7)
    assert bench.occasions.count("resync") == 2


async def test_a_wadm_that_says_nothing_is_asked_for_a_word_and_missed_within_a_minute(bench):
    await bench.clock.advance(0)
    await bench.clock.advance(29.0)
    bench.lister.request_refresh()  # a push
    await bench.clock.advance(29.0)
    assert bench.wadm.pinged == [], "it was heard lately"
    await bench.clock.advance(60.0)
    assert len(bench.wadm.pinged) in (2, 3)
    assert bench.ledger.current
    bench.wadm.silent = True
    await bench.clock.advance(60.0)
    assert not bench.ledger.current
    assert sum(isinstance(event, AppsNotListed) for event in bench.heard) == 1
    bench.wadm.silent = False
    await bench.clock.advance(16.0)
    assert bench.ledger.current
