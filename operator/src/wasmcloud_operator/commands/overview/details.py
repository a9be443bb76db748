"""What explains pods that are not ready, and Services, and does not stand in them: Events, nodes, EndpointSlices."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import replace

from wasmcloud_operator.base.jsontypes import JsonObject, as_object, as_objects
from wasmcloud_operator.commands.overview import pods
from wasmcloud_operator.commands.overview.snapshot import ListedEndpoint, Snapshot, why_unreadable
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.codec import UNSTRUCTURED
from wasmcloud_operator.kube.errors import Forbidden, NotFound
from wasmcloud_operator.kube.gather_first_error import gather_first_error
from wasmcloud_operator.kube.objects import Unstructured
from wasmcloud_operator.kube.resources import ENDPOINT_SLICE, EVENT, NODE, Key

# Of so many pods, a few of each pool: each costs a request.
_MOST_PODS = 50
_OF_A_POOL = 5


async def with_details(client: Reader, seen: Snapshot, services: Iterable[Key] = ()) -> Snapshot:
    """Returns the snapshot with what is known about pods that are not ready, and the endpoints of these Services.

    What its user may not read is left out, and of endpoints it is noted.

    Raises the errors of `kube.errors`.
    """
    unready = list(_unready(seen))[:_MOST_PODS]
    nodes = sorted({pods.node_of(pod) for pod in unready} - {""})
    warnings = await gather_first_error(_warning(client, pod) for pod in unready)
    found = await gather_first_error(_node(client, name) for name in nodes)
    unreadable = dict(seen.unreadable)
    endpoints: dict[Key, list[ListedEndpoint]] = {}
    for service in services:
        try:
            endpoints[service] = await _endpoints(client, service)
        except (Forbidden, NotFound) as error:
            unreadable[str(ENDPOINT_SLICE)] = why_unreadable(error)
    return replace(
        seen,
        unreadable=unreadable,
        endpoints=endpoints,
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


async def _endpoints(client: Reader, service: Key) -> list[ListedEndpoint]:
    """Returns what the EndpointSlices of a Service lead to, each pod once: it is in one of each IP family."""
    selector = f"kubernetes.io/service-name={service.name}"
    slices = await client.list_all(ENDPOINT_SLICE, UNSTRUCTURED, namespace=service.namespace, selector=selector)
    listed = [_endpoint(entry) for found in slices for entry in as_objects(found.body.get("endpoints"))]
    return sorted(dict.fromkeys(listed), key=lambda endpoint: (endpoint.pod or Key("", ""), endpoint.ready))


def _endpoint(entry: JsonObject) -> ListedEndpoint:
    target, conditions = as_object(entry.get("targetRef")), as_object(entry.get("conditions"))
    return ListedEndpoint(
        pod=Key(str(target.get("namespace")), str(target.get("name"))) if target.get("kind") == "Pod" else None,
        ready=conditions.get("ready") is not False,  # left out means ready
        ending=conditions.get("terminating") is True,
    )


async def _node(client: Reader, name: str) -> Unstructured | None:
    with contextlib.suppress(Forbidden, NotFound):
        return await client.get(NODE, Key("", name))
    return None
