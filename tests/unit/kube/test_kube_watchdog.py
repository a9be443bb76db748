from __future__ import annotations

import asyncio
import sys
import time

import pytest
import structlog

from testbed import eventually
from wasmcloud_operator.base.clock import SYSTEM_CLOCK
from wasmcloud_operator.kube.watchdog import watch_loop

# A loop that runs Python all the time, and is looked at some hundred times meanwhile.
BUSY = """
import asyncio
import sys
import time

import structlog

from wasmcloud_operator.kube import watchdog
from wasmcloud_operator.base.clock import SYSTEM_CLOCK


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


async def deep(n):
    return n and await deep(n - 1)


async def main():
    watching = asyncio.create_task(watchdog.watch_loop(SYSTEM_CLOCK))
    end = time.monotonic() + 3
    while time.monotonic() < end:
        await asyncio.sleep(0)
        for _ in range(10):
            fib(12)
            await asyncio.gather(deep(20), deep(3))
    watching.cancel()
    await asyncio.wait({watching})


sys.setswitchinterval(0.00001)
watchdog._BEAT_SECONDS = 0.0
watchdog._STUCK_SECONDS = 0.0001
with structlog.testing.capture_logs() as lines:
    asyncio.run(main())
print(len(lines))
"""


async def test_the_stack_of_a_stuck_loop_is_logged_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wasmcloud_operator.kube.watchdog._STUCK_SECONDS", 0.1)

    async def logged_once() -> bool:
        with structlog.testing.capture_logs() as lines:
            watching = asyncio.create_task(watch_loop(SYSTEM_CLOCK))
            await asyncio.sleep(0)
            time.sleep(0.5)  # noqa: ASYNC251 - this is the fault
            watching.cancel()
            await asyncio.wait({watching})
        stacks = [line["stack"] for line in lines if line["event"] == "event loop stands still"]
        return len(stacks) == 1 and "test_the_stack_of_a_stuck_loop_is_logged_once" in stacks[0]

    await eventually(logged_once)  # a machine that stands still itself is logged besides


async def test_a_loop_that_moves_is_not_logged(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wasmcloud_operator.kube.watchdog._BEAT_SECONDS", 0.0)
    monkeypatch.setattr("wasmcloud_operator.kube.watchdog._STUCK_SECONDS", 30.0)
    with structlog.testing.capture_logs() as lines:
        watching = asyncio.create_task(watch_loop(SYSTEM_CLOCK))
        for _ in range(1000):
            await asyncio.sleep(0)
        watching.cancel()
        await asyncio.wait({watching})
    assert lines == []


async def test_reading_the_stack_of_a_loop_that_goes_on_meanwhile_does_no_harm():
    """faulthandler's watchdog, which reads without the interpreter's lock, ended it by SIGSEGV in one run of three."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", BUSY, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(120):
        output, _ = await process.communicate()
    assert process.returncode == 0
    assert int(output) > 0
