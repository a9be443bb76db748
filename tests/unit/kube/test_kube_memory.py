"""Freed memory returns to the system while the process lives."""

from __future__ import annotations

import asyncio

from testbed import eventually
from wasmcloud_operator.kube import memory
from wasmcloud_operator.kube.testing import VirtualClock


async def test_freed_memory_is_returned_repeatedly(monkeypatch):
    trimmed: list[int] = []
    monkeypatch.setattr(memory, "_trim", lambda: trimmed.append)
    clock = VirtualClock()
    giving = asyncio.create_task(memory.give_back(clock))
    for _ in range(3):
        await clock.advance(20)
        await eventually(lambda: trimmed)  # in a thread, which no clock moves
        trimmed.clear()
    giving.cancel()


def test_this_machines_c_library_takes_the_call():
    assert memory._trim()(0) in (0, 1, None)
