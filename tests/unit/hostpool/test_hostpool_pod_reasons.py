"""What holds a pod up, in the words of who holds it up."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from wasmcloud_operator.hostpool.pod_reasons import PodReason, first_reason, reason_of
from wasmcloud_operator.hostpool.status import workload_state
from wasmcloud_operator.kube.objects import Pod
from wasmcloud_operator.names import SERVING_GATE


def pod(name: str = "p", *, conditions: list[dict[str, str]] | None = None, **status: Any) -> Pod:
    gates = [{"conditionType": SERVING_GATE}]
    body = {"metadata": {"name": name}, "spec": {"readinessGates": gates}}
    return msgspec.convert({**body, "status": {"conditions": conditions or [], **status}}, Pod)


def container(name: str = "wasmcloud-host", *, restarts: int = 0, **states: Any) -> dict[str, Any]:
    return {"name": name, "ready": False, "restartCount": restarts, **states}


UNSCHEDULABLE = {
    "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes: Insufficient cpu.",
}  # fmt: skip
PULL = container(state={"waiting": {"reason": "ErrImagePull", "message": "no such manifest"}})
ENDED = {"terminated": {"exitCode": 2, "reason": "Error", "message": "Error: a\n\nno lattice at nats://u:pw@h:4222\n"}}
CRASH = container(restarts=3, state={"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}, lastState=ENDED)
BETWEEN = container(restarts=3, state={"running": {"startedAt": "2026-05-01T12:00:00Z"}}, lastState=ENDED)
STARTING = container(state={"waiting": {"reason": "ContainerCreating"}})
GATE = {"type": SERVING_GATE, "status": "False", "reason": "HostNotInLattice", "message": "its host is not there"}
CRASHED = PodReason(
    "CrashLoopBackOff", "pod p, container wasmcloud-host: ended with 2 (Error): no lattice at nats://h:4222"
)


@pytest.mark.parametrize(
    ("held_up", "expected"),
    [
        (pod(conditions=[UNSCHEDULABLE]), PodReason("Unschedulable", "pod p: 0/3 nodes: Insufficient cpu.")),
        (pod(containerStatuses=[PULL]),
         PodReason("ImagePullBackOff", "pod p, container wasmcloud-host: no such manifest")),
        (pod(initContainerStatuses=[{**PULL, "name": "nats-leaf"}]),
         PodReason("ImagePullBackOff", "pod p, container nats-leaf: no such manifest")),
        (pod(containerStatuses=[CRASH]), CRASHED),
        (pod(containerStatuses=[BETWEEN]), CRASHED),
        (pod(conditions=[GATE]), PodReason("HostNotInLattice", "pod p: its host is not there")),
        (pod(containerStatuses=[STARTING]), None),
        (pod(conditions=[{"type": "Ready", "status": "True"}], containerStatuses=[BETWEEN]), None),
    ],
)  # fmt: skip
def test_the_reason_is_the_one_that_was_given(held_up: Pod, expected: PodReason | None) -> None:
    assert reason_of(held_up) == expected


def test_of_several_pods_the_one_that_came_least_far_is_named() -> None:
    found = first_reason([pod("a", conditions=[GATE]), pod("b"), pod("c", conditions=[UNSCHEDULABLE])])
    assert found is not None
    assert found.message.startswith("pod c")


def workload(kind: str, **spec: Any) -> dict[str, Any]:
    status = {"observedGeneration": 1, "desiredNumberScheduled": 2, "numberAvailable": 2, "updatedNumberScheduled": 1}
    return {"metadata": {"name": "pool", "generation": 1}, "spec": {"replicas": 2, **spec}, "status": status}


def test_a_rollout_says_what_a_pod_waits_for() -> None:
    reason = PodReason("ImagePullBackOff", "pod p: no such manifest")
    ready, reconciling, _ = workload_state("Deployment", workload("Deployment"), reason).progress
    assert (ready.status, reconciling.status, reconciling.reason) == ("Unknown", "True", "ImagePullBackOff")
    assert reason.message in ready.message


def test_a_daemonset_whose_nodes_have_no_room_for_a_second_host_says_what_to_change() -> None:
    reason = PodReason("Unschedulable", "pod p: Insufficient cpu")
    surging = workload("DaemonSet", updateStrategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    ready, _, stalled = workload_state("DaemonSet", surging, reason).progress
    assert (ready.status, stalled.status, stalled.reason) == ("False", "True", "NoRoomToSurge")
    assert "maxSurge to 0" in stalled.message
    moving = workload("DaemonSet", updateStrategy={"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}})
    assert workload_state("DaemonSet", moving, reason).progress[1].reason == "Unschedulable"
