"""Freed memory returns to the system while the process lives, and collecting it does not walk what lives long."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import AsyncIterator

import pytest

from testbed import eventually
from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.kube import memory


class Kept:
    """Something that the collector walks."""


class Process:
    """The memory task at work, on a process whose resident memory is what a test sets it to.

    `busy` is the processor time that it takes between two looks at it.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.resident, self.busy, self._processor = 100, 0.0, 0.0
        self.trimmed: list[int] = []
        self.clock = VirtualClock()
        monkeypatch.setattr(memory, "_trim", lambda: self.trimmed.append)
        monkeypatch.setattr(memory, "_resident", lambda: self.resident)
        monkeypatch.setattr(memory, "_processor_seconds", self._more)

    def _more(self) -> float:
        self._processor += self.busy
        return self._processor

    async def round(self, *, walks: bool = False) -> None:
        """One round is over; one that walks takes a quiet second more."""
        self.trimmed.clear()
        await self.clock.advance(20)
        if walks:
            await self.clock.advance(1)
        await eventually(lambda: self.trimmed)  # in a thread, which no clock moves
        await asyncio.sleep(0)

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Process]:
        process = cls(monkeypatch)
        keeping = asyncio.create_task(memory.keep_small(process.clock))
        await asyncio.sleep(0)
        try:
            yield process
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])


async def test_freed_memory_is_returned_repeatedly(monkeypatch):
    async with Process.running(monkeypatch) as process:
        for _ in range(3):
            await process.round()


def test_this_machines_c_library_takes_the_call():
    assert memory._trim()(0) in (0, 1, None)


def test_this_machine_shows_what_is_resident():
    assert memory._resident() > 2**20


@pytest.mark.parametrize("living", [20_000, 40_000])
async def test_a_collection_does_not_walk_what_an_earlier_one_found_alive_however_much_that_is(monkeypatch, living):
    async with Process.running(monkeypatch):
        kept = [Kept() for _ in range(living)]
        gc.collect()
        walked = len(gc.get_objects())
        assert len(kept) == living
        assert walked < 10_000


async def test_as_many_objects_as_a_reconcile_makes_are_not_walked_at_once_while_it_runs(monkeypatch):
    before = gc.get_threshold()
    looks: list[str] = []

    def on_collection(phase: str, _info: dict[str, int]) -> None:
        looks.append(phase)

    async with Process.running(monkeypatch):
        gc.collect()
        gc.callbacks.append(on_collection)
        try:
            kept = [Kept() for _ in range(5_000)]
        finally:
            gc.callbacks.remove(on_collection)
        assert len(kept) == 5_000
        assert not looks
    assert gc.get_threshold() == before


async def test_garbage_that_was_left_out_is_found_once_memory_has_grown(monkeypatch):
    async with Process.running(monkeypatch) as process:
        circle = Kept()
        circle.itself = circle
        gone = weakref.ref(circle)
        gc.collect()
        del circle
        await process.round()
        assert gone() is not None
        process.resident = 111
        await process.round(walks=True)
        assert gone() is None


async def test_memory_that_stays_as_it_is_costs_no_walk_through_everything(monkeypatch):
    async with Process.running(monkeypatch) as process:
        process.resident = 120
        await process.round(walks=True)
        collections = count_walks(monkeypatch)
        for process.resident in (120, 131, 110, 120):
            await process.round()
        assert not collections
        process.resident = 122
        await process.round(walks=True)
        assert collections


async def test_a_walk_through_everything_waits_for_a_quiet_second(monkeypatch):
    async with Process.running(monkeypatch) as process:
        walks = count_walks(monkeypatch)
        process.resident, process.busy = 120, 0.11
        await process.clock.advance(20 + 20)
        assert not walks
        process.busy = 0.001
        await process.clock.advance(1)
        assert len(walks) == 1


@pytest.mark.parametrize(
    ("busy", "seconds"),
    [
        pytest.param(0.001, 1, id="idle"),
        pytest.param(0.049, 30, id="little is done all the time"),
        pytest.param(1.0, 60, id="never quiet"),
    ],
)
async def test_a_walk_through_everything_waits_the_longer_the_more_is_done_and_no_longer_than_a_minute(
    monkeypatch, busy, seconds
):
    async with Process.running(monkeypatch) as process:
        walks = count_walks(monkeypatch)
        process.resident, process.busy = 120, busy
        await process.clock.advance(20 + seconds - 1)
        assert not walks
        await process.clock.advance(1)
        assert len(walks) == 1


async def test_imported_modules_are_not_walked_until_memory_has_grown(monkeypatch):
    async with Process.running(monkeypatch):
        assert gc.get_freeze_count()


def test_this_machine_shows_the_processor_time_of_the_process():
    assert memory._processor_seconds() > 0


def count_walks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Has what is collected counted instead of done."""
    walks: list[int] = []
    monkeypatch.setattr(gc, "collect", lambda: walks.append(1))
    return walks


async def test_the_collector_is_left_as_it_was_found(monkeypatch):
    callbacks = list(gc.callbacks)
    async with Process.running(monkeypatch):
        gc.collect()
        assert gc.get_freeze_count()
    assert gc.callbacks == callbacks
    assert not gc.get_freeze_count()
