"""Histories that went back, expired or were never shown: what the reflector believes."""

from __future__ import annotations

import pytest

from support.kube.bench import KubeBench, synced
from support.kube.objects import WIDGET, key, widget
from wasmcloud_operator.kube.testing import Answer, ErrorEvent, Fault, Silent

GONE = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
TOO_LARGE = {
    "kind": "Status",
    "code": 504,
    "reason": "Timeout",
    "message": "Too large resource version: 999, current: 1",
    "details": {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]},
}


async def test_silence_at_a_version_that_nothing_confirms_ends_in_a_list(bench: KubeBench):
    """After a broken connection the server may be a restored one, whose history never reaches our version."""
    informer = await synced(bench)
    bench.api.fail(Silent(), Silent())
    bench.api.cut_streams()
    await bench.clock.until(lambda: bool([r for r in bench.api.requests if r.lists]), within=200)
    assert [r.lists for r in bench.api.requests] == [False, False, True]
    bench.api.put(WIDGET, widget("c"))
    await bench.clock.until(lambda: bench.equal(informer), within=1)


@pytest.mark.parametrize("away", ["as versions that were", "as versions that were, and the cluster moves on"])
async def test_a_restored_backup_is_believed_however_far_the_cluster_has_moved_on(bench: KubeBench, away: str):
    for name in ("changed", "deleted", "other"):
        bench.api.put(WIDGET, widget(name))
    informer = await synced(bench)
    backup = bench.api.backup()
    bench.api.put(WIDGET, widget("changed", value="lost"))
    bench.api.remove(WIDGET, key("deleted"))
    bench.api.put(WIDGET, widget("created", value="lost"))
    await bench.clock.advance(1)
    bench.api.restore(backup)
    for number in range(50 if "moves on" in away else 1):
        bench.api.put(WIDGET, widget("other", value=number))
    bench.api.compact()
    await bench.clock.until(lambda: bench.equal(informer) and not informer.problem)


async def test_a_state_that_a_restored_cluster_gives_the_resource_version_of_a_lost_one_is_believed(bench: KubeBench):
    bench.api.put(WIDGET, widget("changed"))
    informer = await synced(bench)
    backup = bench.api.backup()
    lost = bench.api.put(WIDGET, widget("changed", value="lost"))
    await bench.clock.advance(1)
    bench.api.restore(backup)
    new = bench.api.put(WIDGET, widget("changed", value="new"))
    assert new["metadata"] == lost["metadata"]
    bench.api.put(WIDGET, widget("other"))
    bench.api.compact()
    await bench.clock.until(lambda: bench.equal(informer) and not informer.problem)


@pytest.mark.parametrize("reason", ["InternalError", ""])
async def test_a_version_at_which_each_watch_ends_with_an_error_is_given_up(bench: KubeBench, reason: str):
    """Not every server, nor what stands in front of it, says 410 when it has forgotten a version."""
    informer = await synced(bench)
    error = ErrorEvent(code=500, reason=reason, message="mvcc: required revision has been compacted")
    bench.api.fail(error, error)
    bench.api.cut_streams()
    await bench.clock.until(lambda: bool([r for r in bench.api.requests if r.lists]), within=60)
    bench.api.put(WIDGET, widget("b"))
    await bench.clock.until(lambda: bench.equal(informer) and not informer.problem, within=60)


async def test_a_short_rewind_after_events_alone_is_believed(bench: KubeBench):
    bench.api.bookmark_seconds = float("inf")
    informer = await synced(bench)
    for number in range(20):
        bench.api.put(WIDGET, widget("a", value=number))
    await bench.clock.advance(1)
    bench.api.rewind(10)  # to between the list and the last event
    bench.api.put(WIDGET, widget("a", value="restored"))
    await bench.clock.until(lambda: bench.equal(informer), within=300)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(ErrorEvent(), id="ERROR event over HTTP 200"),
        pytest.param(Answer("watch", 410, GONE), id="HTTP 410"),
        pytest.param(Answer("watch", 504, TOO_LARGE), id="too large"),
        pytest.param(
            ErrorEvent(code=504, reason="Timeout", message="Too large resource version: 9"), id="too large event"
        ),
        pytest.param(Answer("watch", 400, {"code": 400, "reason": "BadRequest"}), id="malformed"),
    ],
)
async def test_a_rejected_version_is_never_shown_again(bench: KubeBench, fault: Fault):
    informer = await synced(bench)
    bench.api.fail(fault)
    await bench.clock.until(lambda: bool(bench.api.requests), within=700)  # the watch in place has ended
    bench.api.version += 1
    rejected = bench.api.requests[0].query["resourceVersion"]
    await bench.clock.advance(700)
    assert [r.query.get("resourceVersion") for r in bench.api.requests].count(rejected) == 1
    assert bench.api.requests[1].lists, "the rejection is answered by a list"
    assert bench.equal(informer)
    assert not informer.problem


async def test_expiry_in_the_middle_of_pagination_starts_the_list_over(bench: KubeBench):
    bench.api.watch_list = "refused"
    bench.api.page_size = 2
    for number in range(7):
        bench.api.put(WIDGET, widget(f"w{number}"))
    bench.api.fail(Answer("page", 410, GONE), Answer("page", 410, GONE))
    informer = bench.informer()
    await bench.clock.until(lambda: bench.equal(informer) and informer.synced)
    tokens = [r.query.get("continue") for r in bench.api.requests if "limit" in r.query]
    assert tokens.count(None) == 3
    assert len(set(tokens) - {None}) == len([token for token in tokens if token])


async def test_a_restored_backup_is_believed(bench: KubeBench):
    bench.api.put(WIDGET, widget("b"))
    informer = await synced(bench)
    bench.api.rewind(500)
    bench.api.remove(WIDGET, key("a"))
    bench.api.put(WIDGET, widget("b", restored=True))
    await bench.clock.until(lambda: bench.equal(informer), within=30)


async def test_bookmarks_from_before_show_a_history_that_went_back(bench: KubeBench):
    informer = await synced(bench)
    bench.api.version -= 500  # unnoticed by the stream, as a load balancer can hide a restart
    bench.api.put(WIDGET, widget("b"))
    await bench.clock.until(lambda: key("b") in informer.store, within=75)
