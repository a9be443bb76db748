"""Why pods of a DaemonSet are not made: a Deployment has a condition for it, a DaemonSet has Events alone."""

from __future__ import annotations

from wasmcloud_operator.hostpool.pod_reasons import PodReason
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.codec import UNSTRUCTURED
from wasmcloud_operator.kube.errors import Forbidden
from wasmcloud_operator.kube.jsontypes import JsonObject
from wasmcloud_operator.kube.objects import Unstructured
from wasmcloud_operator.kube.resources import DAEMON_SET, EVENT

_REASON = "FailedCreate"


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
    query = [("fieldSelector", f"regarding.uid={meta.uid},reason={_REASON}"), ("limit", "100")]
    try:
        page = await client.list_page(EVENT, UNSTRUCTURED, namespace=meta.namespace, query=query)
    except Forbidden:
        return None
    newest = max(page.items, key=lambda event: _last_seen(event.body), default=None)
    note = str(newest.body.get("note", "")) if newest is not None else ""
    return PodReason(_REASON, note) if note else None


def _last_seen(event: JsonObject) -> str:
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("deprecatedLastTimestamp"), event.get("eventTime"))
    return max((time for time in times if time), default="")
