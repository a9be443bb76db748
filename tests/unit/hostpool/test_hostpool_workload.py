"""How far a pool's workload is, by what the workload itself says."""

from __future__ import annotations

import pytest

from wasmcloud_operator.hostpool.status import workload_state

ROLLED = {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3, "readyReplicas": 3}
ON_NODES = {
    "observedGeneration": 2, "desiredNumberScheduled": 3, "currentNumberScheduled": 3, "updatedNumberScheduled": 3,
    "numberAvailable": 3, "numberReady": 3,
}  # fmt: skip
TOO_LONG = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "too long"}
QUOTA = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"}
GOING_ON = [{"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"},
            {"type": "ReplicaFailure", "status": "False"}]  # fmt: skip


def state(kind, status, wanted=3):
    return workload_state(
        kind, {"metadata": {"name": "pool", "generation": 2}, "spec": {"replicas": wanted}, "status": status}
    )


def stands(found):
    """The status of Ready, Reconciling, Stalled, and of WorkloadAvailable where that is said."""
    return [condition.status for condition in (*found.progress, *found.available)]


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        pytest.param("Deployment", ROLLED, "True False False True", id="rolled out"),
        pytest.param("Deployment", {}, "Unknown True False False", id="just made"),
        pytest.param("Deployment", {**ROLLED, "observedGeneration": 1}, "Unknown True False False", id="not looked at"),
        pytest.param("Deployment", {**ROLLED, "updatedReplicas": 2}, "Unknown True False True", id="old pods left"),
        pytest.param("Deployment", {**ROLLED, "replicas": 4}, "Unknown True False True", id="one more than wanted"),
        pytest.param("Deployment", {**ROLLED, "availableReplicas": 2}, "Unknown True False False", id="one missing"),
        pytest.param("Deployment", {**ROLLED, "conditions": GOING_ON}, "True False False True", id="nothing failed"),
        pytest.param("Deployment", {**ROLLED, "availableReplicas": 0, "conditions": [TOO_LONG]},
                     "False False True False", id="given up"),
        pytest.param("Deployment", {**ROLLED, "conditions": [QUOTA]}, "False False True True", id="no more allowed"),
        pytest.param("DaemonSet", ON_NODES, "True False False True", id="on every node"),
        pytest.param("DaemonSet", {**ON_NODES, "updatedNumberScheduled": 1}, "Unknown True False True", id="old left"),
        pytest.param("DaemonSet", {**ON_NODES, "numberAvailable": 2}, "Unknown True False False", id="a node without"),
    ],
)  # fmt: skip
def test_where_it_stands(kind, status, expected):
    assert stands(state(kind, status)) == expected.split()


@pytest.mark.parametrize(("kind", "status"), [("Deployment", ROLLED), ("DaemonSet", ON_NODES)])
def test_its_pods_are_counted(kind, status):
    found = state(kind, {**status, "readyReplicas": 2, "numberReady": 2})
    assert (found.replicas, found.ready_replicas) == (3, 2)


def test_why_it_gave_up_is_said_in_its_own_words():
    found = state("Deployment", {**ROLLED, "conditions": [QUOTA]})
    assert {(one.reason, one.message) for one in found.progress if one.message} == {("FailedCreate", "exceeded quota")}


def test_before_there_is_one_it_is_on_the_way():
    assert stands(workload_state("Deployment", None)) == ["Unknown", "True", "False"]


def test_a_pool_of_no_hosts_is_ready():
    nothing = {**ROLLED, "replicas": 0, "updatedReplicas": 0, "availableReplicas": 0}
    assert stands(state("Deployment", nothing, wanted=0)) == ["True", "False", "False", "True"]
