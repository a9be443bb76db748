"""Why a pod does not run or is not ready, from its own status."""

from __future__ import annotations

from wasmcloud_operator.base.jsontypes import JsonObject, as_object, as_objects
from wasmcloud_operator.commands.overview.snapshot import condition, holds
from wasmcloud_operator.kube.objects import Unstructured


def node_of(pod: Unstructured) -> str:
    """Returns the name of its node, empty while it has none."""
    return str(as_object(pod.body.get("spec")).get("nodeName") or "")


def trouble(pod: Unstructured) -> str:
    """Returns the pod's own reason in one line, empty for a pod that is ready.

    The order is that of a pod's life: not scheduled, a container that cannot start or ended, not ready.
    """
    if holds(pod, "Ready"):
        return ""
    if pod.metadata.deleting:
        return "is being deleted"
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return _words(scheduled, "is not scheduled")
    status = as_object(pod.body.get("status"))
    for field in ("initContainerStatuses", "containerStatuses"):
        for container in as_objects(status.get(field)):
            if found := _container(container):
                return f"container {container.get('name')}: {found}"
    for gate in as_objects(as_object(pod.body.get("spec")).get("readinessGates")):
        held = condition(pod, str(gate.get("conditionType", "")))
        if held.get("status") != "True":
            return _words(held, f"readiness gate {gate.get('conditionType')} is not set")
    return _words(condition(pod, "Ready"), str(status.get("phase") or "has no status yet"))


def _container(container: JsonObject) -> str:
    state = as_object(container.get("state"))
    waiting, ended = as_object(state.get("waiting")), as_object(state.get("terminated"))
    last = as_object(as_object(container.get("lastState")).get("terminated"))
    if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
        after = f" (ended with {last.get('exitCode')}: {last.get('reason', '')})" if last else ""
        return _words(waiting, "waits") + after
    if ended and ended.get("exitCode"):
        return f"ended with {ended.get('exitCode')}: {_words(ended, '')}".rstrip(": ")
    return ""


def _words(entry: JsonObject, otherwise: str) -> str:
    words = [str(entry[name]) for name in ("reason", "message") if entry.get(name)]
    return ": ".join(words) or otherwise
