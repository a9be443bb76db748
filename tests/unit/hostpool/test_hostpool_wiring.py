"""Which news of a pool's child can wait a moment: what somebody does to it by hand never does."""

from __future__ import annotations

import pytest

from wasmcloud_operator.hostpool.controller import rest_seconds, told_or_written
from wasmcloud_operator.kube.objects import Metadata, ObjectMeta
from wasmcloud_operator.kube.store import Change
from wasmcloud_operator.names import FINGERPRINT


def child(generation: int, fingerprint: str = "a", **labels: str) -> Metadata:
    annotations = {FINGERPRINT: fingerprint} if fingerprint else {}
    return Metadata(ObjectMeta("pool", "ns", "uid", "1", generation, labels=labels, annotations=annotations))


@pytest.mark.parametrize(
    ("old", "new", "waits"),
    [
        pytest.param(None, child(1), True, id="we made it"),
        pytest.param(child(1, "a"), child(2, "b"), True, id="we changed it"),
        pytest.param(child(0, "a"), child(0, "b"), True, id="we changed it, of a kind without generation"),
        pytest.param(child(2), child(2), True, id="its status changed"),
        pytest.param(child(1), child(2), False, id="its spec was edited"),
        pytest.param(child(0), child(0, edited="x"), False, id="edited, of a kind without generation"),
        pytest.param(child(1), None, False, id="it was deleted"),
        pytest.param(None, child(1, ""), False, id="somebody else made it"),
    ],
)
def test_changes_of_status_and_own_writes_can_wait(old: Metadata | None, new: Metadata | None, waits: bool) -> None:
    assert told_or_written(Change(old, new)) is waits


def test_news_of_a_child_waits_longer_the_more_pools_are_in_work():
    waits = [rest_seconds(working) for working in (0, 1, 16, 32)]
    assert waits == sorted(waits)
    assert waits[0] == 0.3
    assert waits[1] < 0.5 < 1.0 < waits[2] < waits[3] < 3.0
