"""What holds a host pod up, or keeps it from being made: in the words of the scheduler, the kubelet or its gate."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.hostpool.serving import is_gated
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.codec import UNSTRUCTURED
from wasmcloud_operator.kube.errors import Forbidden
from wasmcloud_operator.kube.objects import ContainerStatus, Pod, Unstructured
from wasmcloud_operator.kube.resources import DAEMON_SET, EVENT
from wasmcloud_operator.names import SERVING_GATE

# On the way: no reason yet.
_STARTING = frozenset({"", "ContainerCreating", "PodInitializing"})
# The kubelet alternates between the two words for one state.
_SAME = {"ErrImagePull": "ImagePullBackOff"}
CRASHING = "CrashLoopBackOff"
# A Deployment has a condition for pods that are not made, a DaemonSet has Events of this reason alone.
_NOT_MADE = "FailedCreate"
# Between two crashes a container runs for a while: after so many restarts it still counts as crashing.
_RESTARTS = 2
_LONGEST_LINE = 300
# A log may show the address that a program was given.
_USERINFO = re.compile(r"://[^/\s@]*@")


@dataclass(frozen=True, slots=True)
class PodReason:
    """Why a pod is not ready: a CamelCase reason, and a sentence that names the pod."""

    reason: str
    message: str


def first_reason(pods: Iterable[Pod]) -> PodReason | None:
    """The reason of the first pod with any; of several in one pod, the earliest in its life."""
    found = [(order, pod.metadata.name, reason) for pod in pods for order, reason in _reasons(pod)]
    return min(found, key=lambda each: each[:2])[2] if found else None


def reason_of(pod: Pod) -> PodReason | None:
    """What holds this pod up."""
    return first_reason((pod,))


def _reasons(pod: Pod) -> Iterable[tuple[int, PodReason]]:
    if pod.metadata.deleting or pod.ready:
        return
    scheduled = pod.condition("PodScheduled")
    if scheduled is not None and scheduled.status == "False":
        yield 0, PodReason(scheduled.reason or "Unschedulable", f"pod {pod.metadata.name}: {scheduled.message}")
    for container in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        reason, message = _stuck(container)
        if reason:
            yield 1, PodReason(reason, f"pod {pod.metadata.name}, container {container.name}: {message or reason}")
    gate = pod.condition(SERVING_GATE)
    if is_gated(pod) and gate is not None and gate.status == "False":
        yield 2, PodReason(gate.reason, f"pod {pod.metadata.name}: {gate.message}")


def _stuck(container: ContainerStatus) -> tuple[str, str]:
    """The reason and its words, empty while the container starts or runs well."""
    waiting, ended = container.state.waiting, container.last_state.terminated
    reason = waiting.reason if waiting is not None else ""
    if reason == CRASHING or (ended is not None and not container.ready and container.restart_count >= _RESTARTS):
        last_line = _last_line(ended.message) if ended is not None else ""
        why = f"ended with {ended.exit_code} ({ended.reason})" if ended is not None else ""
        return CRASHING, ": ".join(part for part in (why, last_line) if part)
    if waiting is None or reason in _STARTING:
        return "", ""
    return _SAME.get(reason, reason), waiting.message


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return _USERINFO.sub("://", lines[-1])[:_LONGEST_LINE] if lines else ""


def lacks_pods(kind: str, body: JsonObject) -> bool:
    """Whether it is a DaemonSet that has fewer pods than nodes to run them on."""
    status = body.get("status") or {}
    wanted, there = status.get("desiredNumberScheduled", 0), status.get("currentNumberScheduled", 0)
    return kind == DAEMON_SET.kind and bool(there < wanted)


async def refusal_of_pods(client: Reader, daemon_set: Unstructured) -> PodReason | None:
    """Returns why its pods were last refused: by a quota, by admission. None if that is not known, or cannot be read.

    Raises the errors of `kube.errors`.
    """
    meta = daemon_set.metadata
    query = [("fieldSelector", f"regarding.uid={meta.uid},reason={_NOT_MADE}"), ("limit", "100")]
    try:
        page = await client.list_page(EVENT, UNSTRUCTURED, namespace=meta.namespace, query=query)
    except Forbidden:
        return None
    newest = max(page.items, key=lambda event: _last_seen(event.body), default=None)
    note = str(newest.body.get("note", "")) if newest is not None else ""
    return PodReason(_NOT_MADE, note) if note else None


def _last_seen(event: JsonObject) -> str:
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("deprecatedLastTimestamp"), event.get("eventTime"))
    return max((time for time in times if time), default="")
