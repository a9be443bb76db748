from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from wasmcloud_operator.kube.conditions import progressing, ready, stalled, to_status

NOW = datetime(2026, 1, 1, 12, 0, 0, 500_000, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (ready("Ok", "fine"), {"Ready": "True", "Reconciling": "False", "Stalled": "False"}),
        (progressing("Waiting", "soon"), {"Ready": "Unknown", "Reconciling": "True", "Stalled": "False"}),
        (stalled("Bad", "spec.x is wrong"), {"Ready": "False", "Reconciling": "False", "Stalled": "True"}),
    ],
)
def test_kstatus_reads_the_conditions_as_meant(conditions, expected):
    written = to_status(conditions, None, 7, NOW)
    assert {entry["type"]: entry["status"] for entry in written} == expected
    assert all(entry["observedGeneration"] == 7 for entry in written)
    assert all(entry["lastTransitionTime"] == "2026-01-01T12:00:00Z" for entry in written)
    assert all(entry["reason"] for entry in written)


def test_the_same_conditions_give_the_same_list():
    first = to_status(ready("Ok", "fine"), [], 1, NOW)
    assert to_status(ready("Ok", "fine"), first, 1, LATER) == first


def test_the_time_moves_only_when_the_status_flips():
    first = to_status(progressing("Waiting", "1 of 3"), [], 1, NOW)
    second = {entry["type"]: entry for entry in to_status(progressing("Waiting", "2 of 3"), first, 2, LATER)}
    assert second["Ready"]["message"] == "2 of 3"
    assert second["Ready"]["lastTransitionTime"] == "2026-01-01T12:00:00Z"
    third = {entry["type"]: entry for entry in to_status(ready("Ok", ""), first, 2, LATER)}
    assert third["Ready"]["lastTransitionTime"] == "2026-01-01T13:00:00Z"
    assert third["Stalled"]["lastTransitionTime"] == "2026-01-01T12:00:00Z"


@pytest.mark.parametrize("previous", [None, "text", [None, 1, {"type": 3}], {"a": 1}])
def test_a_previous_status_of_any_shape_is_survived(previous):
    assert len(to_status(ready("Ok", "x" * 40_000), previous, 1, NOW)) == 3


def test_a_message_is_kept_within_its_bound():
    assert len(to_status(ready("Ok", "x" * 40_000), [], 1, NOW)[0]["message"]) == 32768
