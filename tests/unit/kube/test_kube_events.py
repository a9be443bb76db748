from __future__ import annotations

import pytest

from support.kube.bench import KubeBench
from support.kube.objects import WIDGET
from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.kube.errors import Throttled
from wasmcloud_operator.kube.events import EventRecorder
from wasmcloud_operator.kube.objects import ObjectMeta, Unstructured
from wasmcloud_operator.kube.resources import EVENT, Resource
from wasmcloud_operator.kube.testing import Answer, NoAnswer

ABOUT = ObjectMeta(name="w", namespace="ns", uid="u", resource_version="7")


@pytest.fixture
def recorder(bench: KubeBench) -> EventRecorder:
    made = EventRecorder(
        bench.client, controller="example.com/tests", instance="pod-1", clock=bench.clock, metrics=bench.metrics
    )
    bench.start(made.run())
    return made


def report(recorder: EventRecorder, note: str = "it broke", about: ObjectMeta = ABOUT) -> None:
    recorder.event(WIDGET, about, "Warning", "Broken", note, action="Reconcile")


def events(bench: KubeBench) -> list[dict]:
    return list(bench.api.all(EVENT).values())


async def test_an_event_says_what_about_whom_by_whom(bench: KubeBench, recorder: EventRecorder):
    report(recorder)
    await bench.clock.settle()
    (event,) = events(bench)
    assert event["regarding"] == {
        "apiVersion": "tests.example.com/v1",
        "kind": "Widget",
        "name": "w",
        "namespace": "ns",
        "uid": "u",
        "resourceVersion": "7",
    }
    assert (event["type"], event["reason"], event["note"], event["action"]) == (
        "Warning",
        "Broken",
        "it broke",
        "Reconcile",
    )
    assert event["reportingController"] == "example.com/tests"
    assert event["eventTime"] == "2026-01-01T00:00:00.000000Z"


async def test_repeats_become_a_series_written_once_a_minute(bench: KubeBench, recorder: EventRecorder):
    for _ in range(100):
        report(recorder)
        await bench.clock.advance(1)
    await bench.clock.advance(60)
    (event,) = events(bench)
    assert event["series"]["count"] == 100, "the last repeats are counted too"
    assert len([r for r in bench.api.requests if r.method != "GET"]) <= 5


async def test_repeats_after_six_minutes_are_a_new_event(bench: KubeBench, recorder: EventRecorder):
    report(recorder)
    await bench.clock.advance(361)
    report(recorder)
    await bench.clock.settle()
    assert len(events(bench)) == 2


async def test_reporting_never_waits_and_is_bounded(bench: KubeBench, recorder: EventRecorder):
    bench.api.fail(NoAnswer("write"))
    for number in range(3000):
        report(recorder, f"note {number}", ObjectMeta(name="w", namespace="ns", uid=f"u{number}"))
    await bench.clock.advance(1)
    assert sum(map(len, recorder._pending.values())) <= 1000
    dropped = bench.metrics.registry.get_sample_value("kube_events_dropped_total", {"cause": "full"})
    assert dropped == 2000
    await bench.clock.advance(60)
    assert len(events(bench)) == 999  # the one without an answer is lost


@pytest.mark.parametrize("code", [403, 404, 409, 422, 500])
async def test_a_refusal_is_counted_and_the_next_is_sent(bench: KubeBench, recorder: EventRecorder, code: int):
    bench.api.fail(Answer("write", code, {"code": code}))
    report(recorder, "first")
    report(recorder, "second")
    await bench.clock.settle()
    assert [event["note"] for event in events(bench)] == ["second"]
    causes = ("refused", "failed")
    counted = [bench.metrics.registry.get_sample_value("kube_events_dropped_total", {"cause": c}) for c in causes]
    assert sum(filter(None, counted)) == 1


async def test_a_server_that_asks_to_wait_is_sent_nothing_before_and_no_event_is_lost(
    bench: KubeBench, recorder: EventRecorder
):
    bench.api.fail(Answer("write", 429, {"code": 429}, {"Retry-After": "20"}))
    abouts = [ObjectMeta(name=f"w{number}", namespace="ns", uid=f"u{number}") for number in range(5)]
    for about in abouts:
        report(recorder, about=about)
    await bench.clock.advance(19)
    assert len([request for request in bench.api.requests if request.method == "POST"]) == 1
    await bench.clock.advance(2)
    assert {event["regarding"]["uid"] for event in events(bench)} == {about.uid for about in abouts}


async def test_of_what_waits_for_an_overloaded_server_the_newest_of_each_object_and_reason_is_sent(
    bench: KubeBench, recorder: EventRecorder
):
    bench.api.fail(Answer("write", 503, "<html>"))
    other = ObjectMeta(name="other", namespace="ns", uid="v")
    report(recorder, "first")
    await bench.clock.settle()
    report(recorder, "of another", other)
    for note in ("second", "third", "newest"):
        report(recorder, note)
    await bench.clock.advance(5)
    assert sorted(event["note"] for event in events(bench)) == ["newest", "of another"]


async def test_a_series_whose_event_expired_is_created_anew(bench: KubeBench, recorder: EventRecorder):
    report(recorder)
    await bench.clock.settle()
    for key in bench.api.all(EVENT):
        bench.api.remove(EVENT, key)
    report(recorder)
    await bench.clock.settle()
    report(recorder)
    await bench.clock.advance(61)
    assert len(events(bench)) == 1


async def test_a_created_event_whose_answer_was_lost_becomes_a_series(bench: KubeBench, recorder: EventRecorder):
    bench.api.fail(NoAnswer("write", late=True))
    report(recorder)
    await bench.clock.advance(60)
    report(recorder)
    await bench.clock.advance(60)
    (event,) = events(bench)
    assert event["series"]["count"] == 2


async def test_flush_sends_what_waits(bench: KubeBench):
    recorder = EventRecorder(bench.client, controller="c", instance="i", clock=bench.clock, metrics=bench.metrics)
    for number in range(5):
        report(recorder, f"note {number}", ObjectMeta(name="w", namespace="ns", uid=f"u{number}"))
    await recorder.flush()
    assert len(events(bench)) == 5


async def test_long_and_odd_texts_fit_the_bounds_of_the_api(bench: KubeBench, recorder: EventRecorder):
    report(recorder, "ü" * 2000, ObjectMeta(name="n" * 198 + "-x" + "y" * 50, namespace="", uid="u"))
    await bench.clock.settle()
    (event,) = events(bench)
    assert len(event["note"].encode()) <= 1024
    assert event["metadata"]["namespace"] == "default"
    assert len(event["metadata"]["name"]) <= 253
    assert "-." not in event["metadata"]["name"]


async def test_half_a_surrogate_pair_in_a_note_is_no_reason_to_fail(bench: KubeBench, recorder: EventRecorder):
    report(recorder, "half \ud800 pair")
    await bench.clock.settle()
    assert [event["note"] for event in events(bench)] == ["half ? pair"]


async def test_an_object_cannot_make_events_without_bound(bench: KubeBench, recorder: EventRecorder):
    """A note with a number in it that changes at every try is another Event each time."""
    for number in range(600):
        report(recorder, f"try {number} failed")
        await bench.clock.advance(1)
    assert {f"try {number} failed" for number in range(10)} <= {event["note"] for event in events(bench)}
    assert len(events(bench)) <= 12
    await bench.clock.advance(300)
    assert "try 599 failed" in {event["note"] for event in events(bench)}, "the newest is what stays"


async def test_another_reason_and_another_object_are_not_held_up(bench: KubeBench, recorder: EventRecorder):
    for number in range(50):
        report(recorder, f"try {number} failed")
    recorder.event(WIDGET, ABOUT, "Normal", "Mended", "it works", action="Reconcile")
    report(recorder, about=ObjectMeta(name="other", namespace="ns", uid="v"))
    await bench.clock.settle()
    assert {"Mended", "Broken"} == {event["reason"] for event in events(bench)}
    assert "other" in {event["regarding"]["name"] for event in events(bench)}


def of_team(team: str, number: int) -> ObjectMeta:
    return ObjectMeta(name=f"w{number}", namespace=team, uid=f"{team}-{number}")


def sent_of(bench: KubeBench, team: str) -> int:
    return sum(key.namespace == team for key in bench.api.all(EVENT))


@pytest.fixture
def refusing(bench: KubeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The API server asks to wait with each Event in the namespace `noisy`, as its EventRateLimit does."""
    create = bench.client.create

    async def limited(resource: Resource, body: JsonObject, *, namespace: str = "") -> Unstructured:
        if namespace == "noisy":
            raise Throttled(429, "TooManyRequests", "limit reached on type Namespace for key noisy")
        return await create(resource, body, namespace=namespace)

    monkeypatch.setattr(bench.client, "create", limited)


@pytest.fixture
def slow(bench: KubeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An admission webhook takes nine seconds for each Event in the namespace `noisy`."""
    create = bench.client.create

    async def admitted(resource: Resource, body: JsonObject, *, namespace: str = "") -> Unstructured:
        if namespace == "noisy":
            await bench.clock.sleep(9)
        return await create(resource, body, namespace=namespace)

    monkeypatch.setattr(bench.client, "create", admitted)


@pytest.mark.parametrize("trouble", ["refusing", "slow"])
async def test_a_namespace_whose_events_are_refused_or_slow_holds_up_no_other(
    bench: KubeBench, recorder: EventRecorder, request: pytest.FixtureRequest, trouble: str
):
    request.getfixturevalue(trouble)
    for number in range(1500):
        report(recorder, about=of_team("noisy", number))
    await bench.clock.settle()
    for number in range(20):
        report(recorder, about=of_team("quiet", number))
    await bench.clock.settle()
    assert sent_of(bench, "quiet") == 20


async def test_where_too_much_waits_the_namespace_with_the_most_loses_some(bench: KubeBench):
    recorder = EventRecorder(bench.client, controller="c", instance="i", clock=bench.clock, metrics=bench.metrics)
    for number in range(1500):
        report(recorder, about=of_team("noisy", number))
    for number in range(200):
        report(recorder, about=of_team("quiet", number))
    await recorder.flush()
    assert (sent_of(bench, "quiet"), sent_of(bench, "noisy")) == (200, 800)
    assert bench.metrics.registry.get_sample_value("kube_events_dropped_total", {"cause": "full"}) == 700


@pytest.mark.parametrize("reports_before", [1, 10])
async def test_events_of_a_namespace_without_number_make_no_other_namespace_forget_its_own(
    bench: KubeBench, recorder: EventRecorder, reports_before: int
):
    """A repeat is still one of a series, and what an object has said of a reason still counts."""
    for number in range(reports_before):
        report(recorder, f"note {number}", of_team("quiet", 1))
        await bench.clock.settle()
    for number in range(5000):
        report(recorder, about=of_team("noisy", number))
    report(recorder, "note 0", of_team("quiet", 1))
    report(recorder, "one more note", of_team("quiet", 1))
    await bench.clock.advance(61)
    sent = {event["note"]: event for key, event in bench.api.all(EVENT).items() if key.namespace == "quiet"}
    assert sent["note 0"]["series"]["count"] == 2
    assert ("one more note" in sent) == (reports_before < 10)
