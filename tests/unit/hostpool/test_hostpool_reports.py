"""Which Events go with a write of a host pool's status."""

from __future__ import annotations

import pytest

from wasmcloud_operator.base.clock import SYSTEM_CLOCK
from wasmcloud_operator.hostpool.pod_reasons import PodReason
from wasmcloud_operator.hostpool.reports import Report, news, of_lattice, reports_of
from wasmcloud_operator.kube.conditions import Condition, progressing, stalled, to_status

HELD_UP = PodReason("Unschedulable", "pod a: no room")


def status(*conditions: Condition) -> dict:
    return {"conditions": to_status(conditions, None, 1, SYSTEM_CLOCK.now())}


NOTHING = {}
ROLLING = status(*progressing("RollingOut", "not looked at yet"))
WAITING = status(*progressing("Unschedulable", "0 of 2 hosts available; pod a: no room"))
NO_ROOM = status(*stalled("NoRoomToSurge", "0 of 2 hosts available; pod a: no room; set maxSurge to 0"))


@pytest.mark.parametrize(("before", "after"), [(NOTHING, WAITING), (ROLLING, WAITING), (ROLLING, NO_ROOM)])
def test_a_held_up_pod_is_reported_when_the_status_first_shows_it(before, after):
    assert [report.note for report in news(before, after, reports_of(HELD_UP, []))] == ["pod a: no room"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (WAITING, WAITING),
        (ROLLING, ROLLING),
        (WAITING, ROLLING),
        (WAITING, NO_ROOM),
        (WAITING, status(*progressing("Unschedulable", "1 of 2 hosts available; pod a: no room"))),
        (status(*progressing("Unschedulable", "0 of 2 hosts available; pod b: no room")), WAITING),
    ],
    ids=["as before", "not said", "no longer said", "in another condition's words", "other counts", "of another pod"],
)
def test_nothing_is_reported_that_the_status_showed_before_or_does_not_show(before, after):
    assert list(news(before, after, reports_of(HELD_UP, []))) == []


@pytest.mark.parametrize("message", ["no", "n" * 40_000])
def test_a_refusal_is_reported_again_only_in_other_words(message):
    report, said = Report("Ready", "DeploymentRefused", message), status(*stalled("DeploymentRefused", message))
    assert list(news(NOTHING, said, [report])) == [report]
    assert list(news(said, said, [report])) == []
    other = status(*stalled("DeploymentRefused", "something else"))
    assert list(news(other, said, [report])) == [report]


def test_a_warning_is_reported_by_its_own_condition():
    condition = Condition("Warnings", "True", "Deprecated", "old")
    (report,) = reports_of(None, [condition])
    assert list(news(NOTHING, status(condition), [report])) == [report]
    assert list(news(status(condition), status(condition), [report])) == []
    assert list(news(NOTHING, status(*stalled("Deprecated", "old")), [report])) == []


@pytest.mark.parametrize(
    ("before", "now", "reason"),
    [
        ("True", "False", "LatticeLost"),
        ("False", "True", "LatticeFound"),
        ("Unknown", "True", None),
        ("True", "Unknown", None),
        ("True", "True", None),
        (None, "False", None),
    ],
)
def test_a_lattice_is_lost_after_it_was_there_and_found_after_it_was_lost(before, now, reason):
    old = status(Condition("LatticeConnected", before, "x")) if before else {}
    found = [report.reason for report in of_lattice(old, [Condition("LatticeConnected", now, "y", "words")])]
    assert found == ([reason] if reason else [])
