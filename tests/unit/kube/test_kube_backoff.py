from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.kube.backoff import Backoff, RateLimiter


@given(st.integers())
def test_delays_double_up_to_the_cap_with_jitter(seed: int):
    backoff = Backoff(clock=VirtualClock(), rng=random.Random(seed))
    for failure in range(12):
        plain = min(30.0, 0.8 * 2**failure)
        assert plain <= backoff.next() <= 2 * plain
    assert 30 <= backoff.next() <= 60


def test_two_servers_worth_of_clients_do_not_come_back_together():
    delays = {round(Backoff(clock=VirtualClock(), rng=random.Random(seed)).next(), 3) for seed in range(100)}
    assert len(delays) > 80


@given(st.integers(), st.floats(0.1, 100))
def test_never_before_retry_after_and_spread_behind_it(seed: int, wanted: float):
    delay = Backoff(clock=VirtualClock(), rng=random.Random(seed)).next(wanted)
    assert wanted <= delay <= max(wanted + 0.8, 1.6)


async def test_starts_over_after_two_quiet_minutes():
    clock = VirtualClock()
    backoff = Backoff(clock=clock, rng=random.Random(1))
    for _ in range(10):
        backoff.next()
    for pause in (60, 150):  # the second as long as the longest delay and the quiet minutes
        await clock.advance(pause)
        assert backoff.next() >= 30
    await clock.advance(151)
    assert backoff.next() < 1.7


async def test_delays_double_however_long_the_clock_has_run():
    clock = VirtualClock()
    await clock.advance(10_000)
    backoff = Backoff(clock=clock, jitter=0)
    assert [backoff.next() for _ in range(4)] == [0.8, 1.6, 3.2, 6.4]


def test_a_key_backs_off_from_five_milliseconds_to_a_thousand_seconds():
    limiter: RateLimiter[str] = RateLimiter()
    delays = [limiter.when("key") for _ in range(60)]
    assert delays[:3] == [0.005, 0.01, 0.02]
    assert delays[-1] == 1000
    assert limiter.when("other") == 0.005
    limiter.forget("key")
    assert limiter.failures("key") == 0
    assert limiter.when("key") == 0.005
