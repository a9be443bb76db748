"""The status of a host pool from its workload's status: a pure function of cached objects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wasmcloud_operator.base.jsontypes import JsonObject, count_in
from wasmcloud_operator.hostpool.pod_reasons import PodReason
from wasmcloud_operator.kube.conditions import Condition, progressing, ready, stalled
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.problem import Problem


@dataclass(frozen=True, slots=True)
class WorkloadState:
    """How far a Deployment or DaemonSet is: pods wanted, pods there are, pods ready, whether it works, and where it
    stands.
    """

    wanted: int
    replicas: int
    ready_replicas: int
    available: tuple[Condition, ...]
    progress: tuple[Condition, ...]


def workload_state(kind: str, body: JsonObject | None, held_up: PodReason | None = None) -> WorkloadState:
    """Judge a workload as kstatus does: rolled out, on the way, or stuck; `held_up` is what a pod of its waits for."""
    if body is None:
        return WorkloadState(0, 0, 0, (), tuple(progressing(Reason.WORKLOAD_CREATED, f"the {kind} is being created")))
    status = body.get("status") or {}
    if kind == "DaemonSet":
        wanted, total = count_in(status, "desiredNumberScheduled"), count_in(status, "currentNumberScheduled")
        updated, available = count_in(status, "updatedNumberScheduled"), count_in(status, "numberAvailable")
        ready_pods = count_in(status, "numberReady")
    else:
        wanted, total = count_in(body.get("spec") or {}, "replicas"), count_in(status, "replicas")
        updated, available = count_in(status, "updatedReplicas"), count_in(status, "availableReplicas")
        ready_pods = count_in(status, "readyReplicas")
    observed = status.get("observedGeneration", 0) >= body["metadata"].get("generation", 0)
    failure = _failure(status)
    if failure is not None:
        why = f"; {held_up.message}" if held_up is not None else ""
        conditions = stalled(failure[0], f"{failure[1]}{why}")
    elif not observed:
        conditions = progressing(Reason.ROLLING_OUT, f"the {kind} has not been looked at yet")
    elif updated < wanted or total > updated or available < wanted:
        counts = f"{available} of {wanted} hosts available, {updated} of {wanted} up to date"
        conditions = _rolling_out(kind, body, counts, held_up)
    else:
        conditions = ready(Reason.HOSTS_AVAILABLE, f"{available} of {wanted} hosts available")
    # Without counts in the message: it would change with every pod and say what replicas and readyReplicas say.
    works = available >= wanted and observed
    availability = Condition(
        "WorkloadAvailable",
        "True" if works else "False",
        Reason.AVAILABLE if works else Reason.NOT_AVAILABLE,
        f"{kind} {body['metadata']['name']}",
    )
    return WorkloadState(wanted, total, ready_pods, (availability,), tuple(conditions))


def _rolling_out(kind: str, body: JsonObject, counts: str, held_up: PodReason | None) -> list[Condition]:
    if held_up is None:
        return progressing(Reason.ROLLING_OUT, counts)
    surge = ((body["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}).get("maxSurge")
    if kind == "DaemonSet" and held_up.reason == "Unschedulable" and surge not in (None, 0, "0%"):
        hint = (
            "a node has no room for a second host beside the one that is to be replaced; set"
            " schedulingOptions.rollingUpdate.maxSurge to 0 and maxUnavailable to 1, or ask for less of the node"
        )
        return stalled(Reason.NO_ROOM_TO_SURGE, f"{counts}; {held_up.message}; {hint}")
    return progressing(held_up.reason, f"{counts}; {held_up.message}")


def is_rolled_out(kind: str, body: JsonObject) -> bool:
    """Whether no pod of an earlier template is left."""
    return any((each.type, each.status) == ("Ready", "True") for each in workload_state(kind, body).progress)


def warning_conditions(warnings: Iterable[Problem]) -> list[Condition]:
    """Returns the condition that shows the warnings, none if there are none."""
    found = list(warnings)
    return [Condition("Warnings", "True", found[0].reason, "; ".join(map(str, found)))] if found else []


def _failure(status: JsonObject) -> tuple[str, str] | None:
    """Why the workload's own controller gave up, if it did."""
    for condition in status.get("conditions") or ():
        kind, value, reason = condition.get("type"), condition.get("status"), condition.get("reason", "")
        if kind == "Progressing" and value == "False" and reason == "ProgressDeadlineExceeded":
            return reason, condition.get("message", "")
        if kind == "ReplicaFailure" and value == "True":
            return reason or Reason.REPLICA_FAILURE, condition.get("message", "")
    return None
