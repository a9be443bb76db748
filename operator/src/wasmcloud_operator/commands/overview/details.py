"""What explains pods that are not ready and does not stand in them: their latest Warning Events, and their nodes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from wasmcloud_operator.commands.overview import pods
from wasmcloud_operator.commands.overview.snapshot import Snapshot, as_object
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.codec import UNSTRUCTURED
from wasmcloud_operator.kube.errors import Forbidden, NotFound
from wasmcloud_operator.kube.gather_first_error import gather_first_error
from wasmcloud_operator.kube.objects import Unstructured
from wasmcloud_operator.kube.resources import EVENT, NODE, Key

# Of so many pods, a few of each pool: each costs a request.
_MOST_PODS = 50
_OF_A_POOL = 5


async def with_details(client: Reader, seen: Snapshot) -> Snapshot:
    """Returns the snapshot with what is known about pods that are not ready, as far as its user may read that.

    Raises the errors of `kube.errors`.
    """
    unready = list(_unready(seen))[:_MOST_PODS]
    nodes = sorted({pods.node_of(pod) for pod in unready} - {""})
    warnings = await gather_first_error(_warning(client, pod) for pod in unready)
    found = await gather_first_error(_node(client, name) for name in nodes)
    return replace(
        seen,
        warnings={pod.metadata.key: text for pod, text in zip(unready, warnings, strict=True) if text},
        nodes={node.metadata.name: node for node in found if node is not None},
    )


def _unready(seen: Snapshot) -> Iterator[Unstructured]:
    for pool in seen.pools:
        yield from [pod for pod in seen.pods_of(pool) if pods.trouble(pod)][:_OF_A_POOL]


async def _warning(client: Reader, pod: Unstructured) -> str:
    """Returns reason and note of the latest Warning about a pod, empty where there is none."""
    query = [("fieldSelector", f"regarding.uid={pod.metadata.uid},type=Warning"), ("limit", "100")]
    try:
        page = await client.list_page(EVENT, UNSTRUCTURED, namespace=pod.metadata.namespace, query=query)
    except (Forbidden, NotFound):
        return ""
    latest = max(page.items, key=_last_seen, default=None)
    return f"{latest.body.get('reason')}: {latest.body.get('note')}" if latest is not None else ""


def _last_seen(event: Unstructured) -> str:
    """Returns when it was reported last; all of these moments are in UTC, so that they sort as text."""
    series = as_object(event.body.get("series")).get("lastObservedTime")
    moments = (event.body.get("deprecatedLastTimestamp"), event.body.get("eventTime"), series)
    return max((str(moment) for moment in moments if moment), default=event.metadata.creation_timestamp or "")


async def _node(client: Reader, name: str) -> Unstructured | None:
    with contextlib.suppress(Forbidden, NotFound):
        return await client.get(NODE, Key("", name))
    return None
