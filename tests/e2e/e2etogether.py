"""Journeys that touch nothing of each other run side by side: most of a journey is waiting, for pods and for wadm.

A journey of `together` is made in a namespace of its own, beside the others of its kind; its test waits for its end.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

Journey = Callable[..., Awaitable[None]]

# A host takes half a gigabyte, and both cores for some seconds when it compiles the component in Python.
AT_ONCE = 6

_BROUGHT = {"world", "place", "notes"}


def together(runner: str, *, alone: bool = False) -> Callable[[Journey], Journey]:
    """Makes a test of `journey(world, place, notes, **parameters)`; `runner` is the fixture that has started it.

    One that is `alone` waits until those before it have ended, since they would feel what it does.
    """

    def decorate(journey: Journey) -> Journey:
        async def test(request: pytest.FixtureRequest, **given: Any) -> None:
            side_by_side: SideBySide = given[runner]
            await side_by_side.ended(request.node.nodeid)

        parameters = [name for name in inspect.signature(journey).parameters if name not in _BROUGHT]
        test.__signature__ = inspect.Signature(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in ("request", runner, *parameters)
        )
        test.__name__, test.__doc__, test.__module__ = journey.__name__, journey.__doc__, journey.__module__
        test.journey, test.runner, test.alone = journey, runner, alone
        return test

    return decorate


@dataclass(frozen=True)
class PlannedService:
    """A journey that a runner has to start, for its test; the test's parameters are filled in."""

    item: pytest.Item
    journey: Journey
    alone: bool


def journeys_of(runner: str, items: list[pytest.Item]) -> list[PlannedService]:
    """The journeys that a runner has to start, in the order of their tests."""
    found = []
    for item in items:
        function = getattr(item, "function", None)
        if getattr(function, "runner", None) == runner:
            parameters = item.callspec.params if hasattr(item, "callspec") else {}
            found.append(PlannedService(item, partial(function.journey, **parameters), function.alone))
    return found


class SideBySide:
    """Journeys on their way, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._room = asyncio.Semaphore(AT_ONCE)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, name: str, journey: Callable[[], Awaitable[None]], *, alone: bool) -> None:
        before = tuple(self._tasks.values()) if alone else ()
        self._tasks[name] = asyncio.create_task(self._run(name, journey, before), name=name)

    async def ended(self, name: str) -> None:
        """Waits for the end of a journey; raises what it raised."""
        await self._tasks[name]

    async def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _run(
        self, name: str, journey: Callable[[], Awaitable[None]], before: Collection[asyncio.Task[None]]
    ) -> None:
        if before:
            await asyncio.wait(before)
        async with self._room:
            started = time.monotonic()
            try:
                await journey()
            finally:
                self.seconds[name] = time.monotonic() - started
