"""The reflector on the virtual clock, against a scripted API server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from support.kube.bench import KubeBench, synced
from support.kube.objects import WIDGET, key, widget
from wasmcloud_operator.kube.testing import Answer, Cut, End, ErrorEvent, Fault, Garbage, NoAnswer, Silent

HTML = "<html><body>502 Bad Gateway</body></html>"


@pytest.mark.parametrize("watch_list", ["streamed", "refused", "ignored"])
async def test_lists_with_watch_list_and_without(bench: KubeBench, watch_list: str):
    bench.api.watch_list = watch_list
    bench.api.page_size = 3
    for number in range(10):
        bench.api.put(WIDGET, widget(f"w{number}"))
    informer = bench.informer()
    await bench.clock.until(lambda: bench.equal(informer) and not informer.problem)
    streamed = [r for r in bench.api.requests if "sendInitialEvents" in r.query]
    pages = [r for r in bench.api.requests if "limit" in r.query]
    assert len(streamed) == 1
    assert len(pages) == (0 if watch_list == "streamed" else 4)
    # Remembered: what the server refuses is not asked for again, and what it ignores but once more.
    for relist in range(3):
        bench.api.fail(ErrorEvent())
        bench.api.cut_streams()
        await bench.clock.until(lambda: not bench.api._faults and not informer.problem)
        bench.api.put(WIDGET, widget(f"more{relist}"))
        if relist == 0:
            await bench.clock.until(lambda: bench.equal(informer))
            bench.api.requests.clear()
    await bench.clock.until(lambda: bench.equal(informer))
    asked = ["sendInitialEvents" in r.query for r in bench.api.requests if r.lists]
    assert asked
    assert set(asked) == {watch_list == "streamed"}


async def test_a_watch_that_ends_between_a_removal_and_its_successor_misses_neither(bench: KubeBench):
    informer = await synced(bench)
    bench.api.fail(End(after=1))
    bench.api.cut_streams()
    await bench.clock.advance(10)
    bench.api.put(WIDGET, widget("a", uid="another"))
    await bench.clock.until(lambda: bench.equal(informer), within=10)
    assert [r.lists for r in bench.requests()] == [False, False]
    assert len(bench.deletes) == 1


async def test_a_clean_end_is_followed_by_a_watch_and_no_list(bench: KubeBench):
    informer = await synced(bench)
    await bench.clock.advance(3600)
    assert len(bench.api.requests) in range(5, 14)
    assert not [r for r in bench.api.requests if r.lists]
    assert not informer.problem
    bench.api.put(WIDGET, widget("b"))
    await bench.clock.advance(1)
    assert bench.equal(informer)


async def test_a_dead_peer_is_noticed_and_resumed_without_a_list(bench: KubeBench):
    """Bookmarks stop with everything else: within 75 s the watch is resumed at the last version."""
    bench.api.fail(Silent(after=2))
    informer = await synced(bench)
    dead_since = bench.clock.monotonic()
    for number in range(5):
        bench.api.put(WIDGET, widget(f"missed{number}"))
    took = await bench.clock.until(lambda: bench.equal(informer))
    assert bench.clock.monotonic() - dead_since <= 75, took
    assert [r.lists for r in bench.api.requests] == [False]
    assert not informer.problem


async def test_bookmarks_keep_a_quiet_watch_alive(bench: KubeBench):
    await synced(bench)
    await bench.clock.advance(250)
    assert bench.api.requests == []


async def test_an_hour_without_bookmarks_costs_no_list_and_no_deaf_second(bench: KubeBench):
    """The API promises none: servers without consistent lists from cache send none to a quiet watch."""
    bench.api.bookmark_seconds = float("inf")
    informer = await synced(bench)
    problems: set[str] = set()
    for _ in range(7_200):
        await bench.clock.advance(0.5)
        problems.add(informer.problem)
    assert problems == {""}
    assert not [r for r in bench.api.requests if r.lists]
    assert len(bench.api.requests) <= 60
    bench.api.put(WIDGET, widget("b"))
    await bench.clock.advance(0.1)
    assert bench.equal(informer)


async def test_a_watch_that_cannot_be_opened_anew_after_a_silence_is_not_live(bench: KubeBench):
    """The peer takes the connection and answers nothing: noticed within 75 s, and nothing is listed afterwards."""
    bench.api.fail(Silent(after=2), NoAnswer("watch"), Answer("watch", 503, HTML))
    informer = await synced(bench)
    assert await bench.clock.until(lambda: bool(informer.problem)) <= 75
    await bench.clock.until(lambda: not informer.problem, within=60)
    assert [r.lists for r in bench.api.requests] == [False, False, False]


async def test_silences_between_events_are_no_reason_to_list(bench: KubeBench):
    """Each event confirms the version, so that silences are counted from the last one."""
    bench.api.bookmark_seconds = float("inf")
    informer = await synced(bench)
    bench.api.cut_streams()
    for number in range(20):
        await bench.clock.advance(100)
        bench.api.put(WIDGET, widget("b", value=number))
    await bench.clock.advance(1)
    assert bench.equal(informer)
    assert not [r for r in bench.api.requests if r.lists]


async def test_a_silence_in_the_initial_events_is_not_waited_for_as_long_as_one_in_a_watch(bench: KubeBench):
    bench.api.fail(Silent(after=0))
    bench.api.put(WIDGET, widget("a"))
    informer = bench.informer()
    assert await bench.clock.until(lambda: informer.synced) <= 31


@pytest.mark.parametrize(
    "fault",
    [End(after=2), Cut(after=2), Silent(after=2), ErrorEvent(after=2), Garbage(after=2)],
    ids=lambda fault: type(fault).__name__,
)
async def test_a_stream_that_ends_amid_its_list_does_not_end_streamed_lists(bench: KubeBench, fault: Fault):
    for number in range(5):
        bench.api.put(WIDGET, widget(f"w{number}"))
    bench.api.fail(fault)
    informer = bench.informer()
    await bench.clock.until(lambda: bench.equal(informer) and not informer.problem)
    bench.api.requests.clear()
    bench.api.fail(ErrorEvent())
    bench.api.cut_streams()
    await bench.clock.until(lambda: any(r.lists for r in bench.api.requests) and not informer.problem)
    assert [r.watch for r in bench.api.requests if r.lists] == [True]


@pytest.mark.parametrize(
    "fault", [Cut(after=2), ErrorEvent(after=2), Garbage(after=2)], ids=lambda fault: type(fault).__name__
)
async def test_where_two_streams_in_a_row_break_amid_their_list_the_next_list_comes_in_pages(
    bench: KubeBench, fault: Fault
):
    for number in range(5):
        bench.api.put(WIDGET, widget(f"w{number}"))
    bench.api.fail(*[fault] * 10)
    informer = bench.informer()
    await bench.clock.until(lambda: informer.synced)
    assert [r.watch for r in bench.api.requests if r.lists] == [True, True, False]


async def test_an_outage_before_a_streamed_list_began_is_no_reason_for_pages(bench: KubeBench):
    bench.api.fail(*[Answer("any", 503, "")] * 4)
    informer = bench.informer()
    await bench.clock.until(lambda: informer.synced)
    assert [r.watch for r in bench.api.requests if r.lists] == [True] * 5


@pytest.mark.parametrize("fault", [Answer("watch", 400, {"code": 400}), Answer("watch", 422, {"code": 422})])
async def test_a_watch_that_is_refused_after_a_streamed_list_does_not_end_streamed_lists(
    bench: KubeBench, fault: Fault
):
    informer = await synced(bench)
    bench.api.fail(fault)
    bench.api.cut_streams()
    await bench.clock.until(lambda: any(r.lists for r in bench.api.requests) and not informer.problem)
    assert [r.watch for r in bench.api.requests if r.lists] == [True]


async def test_readers_never_see_part_of_a_relist(bench: KubeBench):
    bench.api.watch_list = "refused"
    bench.api.page_size = 1
    for number in range(6):
        bench.api.put(WIDGET, widget(f"old{number}"))
    informer = bench.informer()
    await bench.clock.until(lambda: bench.equal(informer) and not informer.problem)
    seen: set[frozenset[str]] = set()

    async def read() -> None:
        while True:
            seen.add(frozenset(obj.metadata.name for obj in informer.store))
            await asyncio.sleep(0)

    bench.start(read())
    bench.api.cut_streams()
    for number in range(6):
        bench.api.remove(WIDGET, key(f"old{number}"))
        bench.api.put(WIDGET, widget(f"new{number}"))
    bench.api.compact()
    bench.api.requests.clear()
    await bench.clock.until(lambda: bench.equal(informer) and not informer.problem)
    assert len([r for r in bench.api.requests if r.lists]) == 6
    assert seen == {frozenset(f"{what}{number}" for number in range(6)) for what in ("old", "new")}


@pytest.mark.parametrize("code", [403, 404])
async def test_a_kind_that_is_taken_away_and_given_back(bench: KubeBench, code: int):
    """RBAC or the CRD is gone: not ready, by name; back without a restart."""
    informer = await synced(bench)
    answer = Answer("any", code, {"code": code, "reason": "Forbidden" if code == 403 else "NotFound"})
    bench.api.fail(*[answer] * 30)
    await bench.clock.until(lambda: bool(informer.problem), within=700)
    assert "widgets" in informer.problem
    assert str(code) in informer.problem
    await bench.clock.advance(300)
    assert 4 <= len(bench.api.requests) <= 30
    bench.api._faults.clear()
    bench.api.put(WIDGET, widget("back"))
    await bench.clock.until(lambda: bench.equal(informer) and not informer.problem, within=70)


async def test_a_server_that_is_away_is_asked_a_few_times_a_minute(bench: KubeBench):
    informer = await synced(bench)
    bench.api.fail(*[Answer("any", 503, HTML)] * 1000)
    await bench.clock.until(lambda: bool(informer.problem), within=700)
    bench.api.requests.clear()
    await bench.clock.advance(60)
    assert len(bench.api.requests) <= 8
    await bench.clock.advance(600)
    assert len(bench.api.requests) <= 30


async def test_retry_after_is_honoured(bench: KubeBench):
    bench.api.fail(Answer("any", 429, {"code": 429, "reason": "TooManyRequests"}, {"Retry-After": "20"}))
    informer = bench.informer()
    await bench.clock.until(lambda: informer.synced)
    first, second = (r.at for r in bench.api.requests[:2])
    assert 20 <= second - first <= 22


async def test_a_retry_after_of_a_day_is_not_waited_for(bench: KubeBench):
    bench.api.fail(Answer("any", 429, {"code": 429, "reason": "TooManyRequests"}, {"Retry-After": "86400"}))
    informer = bench.informer()
    assert await bench.clock.until(lambda: informer.synced) <= 125


async def test_a_short_stream_that_brought_something_is_no_failure(bench: KubeBench):
    informer = await synced(bench)
    bench.api.fail(*[End(after=1)] * 20)
    bench.api.cut_streams()
    await bench.clock.advance(3)
    for number in range(20):
        bench.api.put(WIDGET, widget("b", value=number))
        await bench.clock.advance(0.01)
        assert not informer.problem
    assert bench.equal(informer)


async def test_a_burst_leaves_the_loop_to_others(bench: KubeBench):
    """Batches that are in the buffer already, so that none of them is waited for."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def batches() -> AsyncIterator[list[bytes]]:
        for number in range(100):
            yield [json.dumps({"type": "ADDED", "object": widget(f"w{number}")}).encode()]

    informer = await synced(bench)
    bench.start(others())
    before = turns
    assert len([event async for event in informer._reflectors[""]._events(batches())]) == 100
    assert turns - before >= 100


async def test_streams_that_are_cut_off_at_once_are_backed_off_from(bench: KubeBench):
    await synced(bench)
    bench.api.fail(*[End()] * 500)
    await bench.clock.advance(700)
    assert 5 <= len(bench.api.requests) <= 30


async def test_a_server_that_ignores_streamed_lists_and_is_never_silent_is_listed(bench: KubeBench):
    bench.api.watch_list = "ignored"
    bench.api.bookmark_seconds = 20
    bench.api.put(WIDGET, widget("a"))
    informer = bench.informer()
    assert await bench.clock.until(lambda: bench.equal(informer) and informer.synced, within=60) <= 25


async def test_lines_of_megabytes_and_halves_of_lines(bench: KubeBench):
    informer = await synced(bench)
    bench.api.fail(Cut(after=0, half_line=True))
    bench.api.put(WIDGET, widget("huge", blob="x" * 5_000_000))
    await bench.clock.advance(700)
    bench.api.put(WIDGET, widget("huge", blob="y" * 5_000_000))
    await bench.clock.until(lambda: bench.equal(informer))


async def test_readiness_says_live_now(bench: KubeBench):
    informer = bench.informer()
    assert "not started" in informer.problem
    assert not informer.synced
    await bench.clock.until(lambda: informer.synced and not informer.problem)
    bench.transport.partitioned = True
    await bench.clock.until(lambda: bool(informer.problem), within=700)
    assert informer.synced
    bench.transport.partitioned = False
    await bench.clock.until(lambda: not informer.problem, within=100)


async def test_a_reflector_that_dies_is_started_again_within_a_second_and_not_ready_meanwhile(bench: KubeBench):
    informer = await synced(bench)
    reflector = informer._reflectors[""]
    decode = reflector.codec.event
    ready: list[bool] = []

    def dies(line: bytes):
        reflector.codec.event = decode
        bench.clock.call_later(0.01, lambda: ready.append(not informer.problem))
        raise RuntimeError("a mistake of ours")

    reflector.codec.event = dies
    bench.api.put(WIDGET, widget("b"))
    assert await bench.clock.until(lambda: bench.equal(informer) and not informer.problem) < 1
    assert ready == [False]
