"""The informer's namespaces: which are followed, what is dropped, and what is offered to it."""

from __future__ import annotations

import pytest

from support.kube.bench import KubeBench
from support.kube.objects import WIDGET, key, widget
from wasmcloud_operator.kube.namespaces import ALL_NAMESPACES
from wasmcloud_operator.kube.testing import Answer

MANY = [f"ns-{number}" for number in range(10)]


@pytest.fixture
def bench_of_many(bench: KubeBench) -> KubeBench:
    for namespace in MANY:
        bench.api.put(WIDGET, widget("a", namespace=namespace))
    return bench


def watched(bench: KubeBench) -> list[str]:
    """The paths of the watches that were opened."""
    return [r.path for r in bench.api.requests if r.watch]


async def test_a_namespace_that_is_no_longer_followed_is_dropped_with_a_change_for_each_object(
    bench_of_many: KubeBench,
):
    bench = bench_of_many
    informer = bench.informer(namespaces=MANY[:2])
    await bench.clock.until(lambda: informer.synced)
    informer.follow(MANY[:1])
    await bench.clock.settle()
    assert set(bench.copy) == set(informer.store.keys()) == {key("a", MANY[0])}
    assert informer.synced_in(MANY[0])
    assert not informer.synced_in(MANY[1])


async def test_nothing_is_known_of_a_namespace_from_the_moment_that_it_is_not_followed(bench_of_many: KubeBench):
    bench = bench_of_many
    informer = bench.informer(namespaces=MANY[:1])
    await bench.clock.until(lambda: informer.synced)
    informer.follow([])
    assert not informer.synced_in(MANY[0])


async def test_an_object_offered_of_a_namespace_that_is_not_followed_is_left_out(bench_of_many: KubeBench):
    bench = bench_of_many
    informer = bench.informer(namespaces=MANY[:1])
    await bench.clock.until(lambda: informer.synced)
    other = bench.informer(namespaces=MANY[1:2])
    await bench.clock.until(lambda: other.synced)
    (foreign,) = other.store
    informer.offer(foreign)
    assert foreign.metadata.key not in informer.store


async def test_an_optional_kind_that_is_uninstalled_is_no_problem_and_is_followed_once_it_is_back(bench: KubeBench):
    bench.api.put(WIDGET, widget("a"))
    informer = bench.informer(optional=True)
    await bench.clock.until(lambda: informer.synced and not informer.problem)
    bench.api.fail(*[Answer("any", 404, {"code": 404, "reason": "NotFound"})] * 30)
    await bench.clock.until(lambda: informer.gone, within=700)
    bench.api.requests.clear()
    for _ in range(600):
        await bench.clock.advance(0.1)
        assert informer.gone
        assert not informer.problem
    assert bench.api.requests
    assert bench.metrics.registry.get_sample_value("kube_informer_live", {"resource": informer.name}) == 1
    bench.api._faults.clear()
    bench.api.put(WIDGET, widget("back"))
    await bench.clock.until(lambda: bench.equal(informer) and not informer.gone, within=70)


async def test_a_reflector_that_is_taken_away_writes_nothing_any_more(bench_of_many: KubeBench):
    """It is awaited before its objects are dropped: else its last event would come after that, for good."""
    bench = bench_of_many
    informer = bench.informer(namespaces=MANY[:2])
    await bench.clock.until(lambda: informer.synced and not informer.problem)
    bench.api.put(WIDGET, widget("late", namespace=MANY[1]))
    informer.follow(MANY[:1])
    await bench.clock.advance(5)
    assert set(informer.store.keys()) == {key("a", MANY[0])}


async def test_more_namespaces_than_it_is_worth_are_followed_with_one_watch(bench_of_many: KubeBench):
    bench = bench_of_many
    informer = bench.informer(namespaces=(), widen=4)
    for count in range(1, len(MANY) + 1):
        informer.follow(MANY[:count])
        await bench.clock.until(lambda: informer.synced and not informer.problem)
    assert informer.namespaces == {ALL_NAMESPACES}
    assert len(set(watched(bench))) == 5  # four of one namespace each, then that of all
    assert bench.deletes == {}, "what is followed in another way has not vanished"
    assert len(bench.copy) == len(MANY)
    # For good: one that comes and goes about the bound makes no watches.
    bench.api.requests.clear()
    informer.follow(MANY[:1])
    await bench.clock.advance(10)
    assert informer.synced_in(MANY[5])
    assert bench.api.requests == []


async def test_only_one_that_may_widen_does(bench_of_many: KubeBench):
    bench = bench_of_many
    informer = bench.informer(namespaces=())
    informer.follow(MANY)
    await bench.clock.until(lambda: informer.synced)
    assert informer.namespaces == set(MANY)
    assert len(watched(bench)) == len(MANY)


@pytest.mark.parametrize("sign", ["gone", "too old", "broken off"])
async def test_a_watch_that_was_broken_off_or_lost_its_place_is_reported(bench: KubeBench, sign: str):
    """By these an API server shows that a kind was removed, or is another by now."""
    lost: list[str] = []
    bench.api.put(WIDGET, widget("a"))
    informer = bench.informer()
    informer.on_lost(lambda: lost.append(sign))
    await bench.clock.until(lambda: informer.synced and not informer.problem)
    await bench.clock.advance(300)
    assert lost == [], "nothing is lost by a watch that is quiet, or was opened anew in time"
    if sign == "gone":
        bench.api.fail(Answer(on="watch", code=404))
    elif sign == "too old":
        bench.api.fail(Answer(on="watch", code=410))
    bench.api.cut_streams()
    await bench.clock.advance(60)
    assert lost
    assert not informer.problem
