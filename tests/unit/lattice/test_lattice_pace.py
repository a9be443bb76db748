"""How much of the event loop one connection takes, and all together."""

from __future__ import annotations

import asyncio
import heapq

import pytest

from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.lattice.pace import LoopShare, Pace

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


def pace_of(clock: BusyClock) -> Pace:
    """The only connection's."""
    return Pace(clock, LoopShare.of_all(clock))


async def read(pace: Pace, clock: BusyClock, *, seconds: float) -> None:
    """Read what takes so many seconds of work."""
    for _ in range(round(seconds / PIECE)):
        with pace:
            clock.passed += PIECE
        await pace.rest()


async def test_a_burst_is_read_without_a_pause():
    clock = BusyClock()
    await read(pace_of(clock), clock, seconds=1.0)
    assert clock.paused == 0.0


async def test_a_server_that_sends_without_end_takes_a_fifth_of_the_time():
    clock = BusyClock()
    pace = pace_of(clock)
    await read(pace, clock, seconds=1.5)
    started = clock.passed
    await read(pace, clock, seconds=6.0)
    assert clock.passed - started == pytest.approx(30.0, rel=0.02)


async def test_after_silence_a_burst_is_read_without_a_pause_again():
    clock = BusyClock()
    pace = pace_of(clock)
    await read(pace, clock, seconds=3.0)
    clock.passed += 6.0
    paused = clock.paused
    await read(pace, clock, seconds=1.0)
    assert clock.paused == paused


async def test_silence_earns_no_more_than_one_burst():
    clock = BusyClock()
    pace = pace_of(clock)
    clock.passed += 3600.0
    await read(pace, clock, seconds=3.0)
    assert clock.paused > 5.0


async def test_a_process_that_was_frozen_amid_a_piece_has_not_worked_all_that_time():
    clock = BusyClock()
    pace = pace_of(clock)
    with pace:
        clock.passed += 30.0
    await pace.rest()
    assert clock.paused == 0.0


async def test_the_time_for_which_a_server_makes_us_wait_is_no_work():
    """Else one that does not take our PONGs would have all others pause."""
    clock = BusyClock()
    pace = pace_of(clock)
    waited = []

    async def work() -> None:
        with pytest.raises(ConnectionError):
            await held_up
        waited.append(clock.passed)
        await asyncio.sleep(0)
        clock.passed += PIECE

    for number in range(100):
        held_up = asyncio.get_running_loop().create_future()
        working = asyncio.create_task(_awaiting(pace, work()))
        await asyncio.sleep(0)
        clock.passed += 30.0
        held_up.set_exception(ConnectionError())
        await working
        assert len(waited) == number + 1
        await pace.rest()
    assert clock.paused == 0.0


async def test_work_that_is_cancelled_ends():
    pace = pace_of(BusyClock())
    never = asyncio.get_running_loop().create_future()

    async def work() -> None:
        await never

    working = asyncio.create_task(_awaiting(pace, work()))
    await asyncio.sleep(0)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert never.cancelled()


async def _awaiting(pace: Pace, work) -> None:
    await pace.working(work)


class ScheduledClock(VirtualClock):
    """Time passes by work; a pause is noted, for `Hubs` to come back after it."""

    passed = 0.0
    pause = 0.0

    def monotonic(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        self.pause = seconds


class Hubs:
    """Servers that send without end, on one event loop."""

    def __init__(self, number: int) -> None:
        self.clock = ScheduledClock()
        self.share = LoopShare.of_all(self.clock)
        self.paces = [Pace(self.clock, self.share) for _ in range(number)]
        self.worked = [0.0] * number
        self._due = [(0.0, one) for one in range(number)]

    async def read_until(self, moment: float) -> None:
        while self.clock.passed < moment:
            due, one = heapq.heappop(self._due)
            self.clock.passed = max(self.clock.passed, due)
            with self.paces[one]:
                self.clock.passed += PIECE
            self.worked[one] += PIECE
            pause = await self.pause_of(self.paces[one])
            heapq.heappush(self._due, (self.clock.passed + pause, one))

    async def pause_of(self, pace: Pace) -> float:
        self.clock.pause = 0.0
        await pace.rest()
        return self.clock.pause


@pytest.mark.parametrize("number", [2, 3, 5, 10, 100, 500])
async def test_however_many_servers_send_without_end_they_leave_the_larger_part_of_the_loop(number: int):
    hubs = Hubs(number)
    await hubs.read_until(60.0)
    began, before = hubs.clock.passed, list(hubs.worked)
    await hubs.read_until(180.0)
    shares = [(now - then) / (hubs.clock.passed - began) for now, then in zip(hubs.worked, before, strict=True)]
    assert sum(shares) == pytest.approx(0.3, abs=0.02)
    assert max(shares) < 2 * min(shares), "each takes the same"


@pytest.mark.parametrize("number", [10, 100])
async def test_beside_many_that_send_without_end_one_with_little_to_say_is_read_at_once(number: int):
    hubs = Hubs(number)
    await hubs.read_until(60.0)
    little = Pace(hubs.clock, hubs.share)
    pauses = []
    for heartbeat in range(100):
        await hubs.read_until(60.0 + heartbeat)
        with little:
            hubs.clock.passed += 0.0001
        pauses.append(await hubs.pause_of(little))
    assert pauses == [0.0] * 100


async def test_when_the_many_are_silent_a_burst_is_read_without_a_pause_again():
    hubs = Hubs(10)
    await hubs.read_until(60.0)
    hubs.clock.passed += 10.0
    pauses = []
    for _ in range(100):
        with hubs.paces[0]:
            hubs.clock.passed += PIECE
        pauses.append(await hubs.pause_of(hubs.paces[0]))
    assert pauses == [0.0] * 100


async def test_a_pause_that_is_cut_short_is_due_again(monkeypatch):
    """A server that ends the connection while we pause gets no piece for nothing."""
    hubs = Hubs(10)
    await hubs.read_until(60.0)
    with hubs.paces[0]:
        hubs.clock.passed += 5 * PIECE
    asked = []

    async def cut_short(seconds: float) -> None:
        asked.append(seconds)
        raise asyncio.CancelledError

    monkeypatch.setattr(hubs.clock, "sleep", cut_short)
    for _ in range(2):
        with pytest.raises(asyncio.CancelledError):
            await hubs.paces[0].rest()
    assert asked[0] == asked[1] > 0
