"""How much of the event loop one connection takes."""

from __future__ import annotations

import pytest

from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.lattice.pace import Pace

PIECE = 0.01  # seconds of work


class BusyClock(VirtualClock):
    """Time passes by work and by pauses."""

    passed = 0.0
    paused = 0.0

    def monotonic(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        self.passed += seconds
        self.paused += seconds


async def read(pace: Pace, clock: BusyClock, *, seconds: float) -> None:
    """Read what takes so many seconds of work."""
    for _ in range(round(seconds / PIECE)):
        with pace:
            clock.passed += PIECE
        await pace.rest()


async def test_a_burst_is_read_without_a_pause():
    clock = BusyClock()
    await read(Pace(clock), clock, seconds=1.0)
    assert clock.paused == 0.0


async def test_a_server_that_sends_without_end_takes_a_fifth_of_the_time():
    clock = BusyClock()
    pace = Pace(clock)
    await read(pace, clock, seconds=1.5)
    started = clock.passed
    await read(pace, clock, seconds=6.0)
    assert clock.passed - started == pytest.approx(30.0, rel=0.02)


async def test_after_silence_a_burst_is_read_without_a_pause_again():
    clock = BusyClock()
    pace = Pace(clock)
    await read(pace, clock, seconds=3.0)
    clock.passed += 6.0
    paused = clock.paused
    await read(pace, clock, seconds=1.0)
    assert clock.paused == paused


async def test_silence_earns_no_more_than_one_burst():
    clock = BusyClock()
    pace = Pace(clock)
    clock.passed += 3600.0
    await read(pace, clock, seconds=3.0)
    assert clock.paused > 5.0


async def test_a_process_that_was_frozen_amid_a_piece_pauses_for_a_second():
    clock = BusyClock()
    pace = Pace(clock)
    with pace:
        clock.passed += 30.0
    await pace.rest()
    await pace.rest()
    assert clock.paused == pytest.approx(1.0)
