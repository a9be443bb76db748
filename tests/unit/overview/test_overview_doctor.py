"""What the doctor finds wrong, fine, or cannot know."""

from __future__ import annotations

from typing import Any

import pytest

from wasmcloud_operator.commands.overview import doctor
from wasmcloud_operator.commands.overview.snapshot import Snapshot
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.resources import POD
from wasmcloud_operator.kube.testing import Answer, ScriptedApi, ScriptedTransport


def operator_pod(ready: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": "wasmcloud-operator"}
    conditions = [{"type": "Ready", "status": ready, "reason": "ContainersNotReady", "message": "it waits"}]
    metadata = {"name": "operator-0", "namespace": "ops", "uid": "o", "labels": labels}
    return {"metadata": metadata, "spec": {}, "status": {"phase": "Running", "conditions": conditions}}


@pytest.mark.parametrize(
    ("pods", "found"),
    [
        ([], []),
        ([operator_pod("False")], ["!!  operator's pod ops/operator-0: ContainersNotReady: it waits"]),
        (
            [operator_pod("True")],
            ["??  operator's pod ops/operator-0 is ready; its metrics cannot be read through the API server: 404"],
        ),
    ],
)
async def test_an_operators_pod_is_wrong_unless_it_is_ready_and_its_metrics_may_be_hidden(
    pods: list[dict[str, Any]], found: list[str]
) -> None:
    api = ScriptedApi()
    for pod in pods:
        api.put(POD, pod)
    lines = [str(finding) for finding in await doctor.operators(Reader(ScriptedTransport(api)))]
    assert [line.startswith(start) for line, start in zip(lines, found, strict=True)] == [True] * len(found), lines


async def test_the_metrics_of_an_operators_pod_are_fetched() -> None:
    api = ScriptedApi()
    listed = {"kind": "PodList", "metadata": {"resourceVersion": "1"}, "items": [operator_pod("True")]}
    api.fail(Answer("read", 200, listed), Answer("read", 200, "up 1\n"))
    (finding,) = await doctor.operators(Reader(ScriptedTransport(api)))
    assert str(finding) == "ok  operator's pod ops/operator-0 is ready, its metrics can be read"
    assert api.requests[-1].path.endswith("/pods/operator-0%3A8080/proxy/metrics")


def test_a_refused_read_makes_a_finding_unknown() -> None:
    (finding,) = doctor.of_snapshot(Snapshot(unreadable={"pods": "you have no right to list them"}))
    assert (finding.health, finding.text) == (doctor.Health.UNKNOWN, "pods: you have no right to list them")
