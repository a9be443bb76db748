"""What the page shows, as rows by id: pure, from a snapshot. A row that is as it was is not sent again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime, timedelta

from wasmcloud_operator.base.jsontypes import Json, JsonObject, as_object, as_objects
from wasmcloud_operator.commands.overview import pods, status
from wasmcloud_operator.commands.overview.snapshot import Snapshot, spec_of, status_of
from wasmcloud_operator.kube.objects import CustomResource, Unstructured

Rows = dict[str, JsonObject]

# What changed so lately is listed, the newest first.
RECENT = timedelta(minutes=15)
_MOST_RECENT = 50
# Conditions that only repeat Ready.
_ECHOES = frozenset({"Reconciling", "Stalled"})


def rows(snapshot: Snapshot, now: datetime, gone: Iterable[JsonObject] = ()) -> Rows:
    """Returns the rows by id. `gone` are the latest deletions, which no object that is left shows."""
    found = status.report(snapshot)
    listed: list[JsonObject] = [
        *({"id": f"lattice/{row.name}", "kind": "lattice", **asdict(row)} for row in found.lattices),
        *(_pool(pool, row) for pool, row in zip(snapshot.pools, found.pools, strict=True)),
        *_hosts(snapshot),
        *(_application(item, row) for item, row in zip(snapshot.applications, found.applications, strict=True)),
        {"id": "recent", "kind": "recent", "entries": _recent(snapshot, now, gone)},
    ]
    return {str(row["id"]): row for row in listed}


def _pool(pool: CustomResource, row: status.PoolRow) -> JsonObject:
    labels = {**pool.metadata.labels, **as_object(spec_of(pool).get("hostLabels"))}
    return {"id": f"pool/{pool.metadata.key}", "kind": "pool", **asdict(row), "labels": labels}


def _hosts(snapshot: Snapshot) -> Iterator[JsonObject]:
    """A row for each pod of a host config, and for each host of its status whose pod cannot be read."""
    for pool in snapshot.pools:
        known = {str(host.get("pod")): host for host in as_objects(status_of(pool).get("hosts"))}
        for pod in snapshot.pods_of(pool):
            trouble = pods.trouble(pod)
            about = {"node": pods.node_of(pod), "address": as_object(pod.body.get("status")).get("podIP")}
            host = known.pop(pod.metadata.name, {})
            yield _host(pool, pod.metadata.name, host, fine=not trouble, state=trouble or "ready") | about
        for pod_name, host in known.items():
            yield _host(pool, pod_name, host, fine=True, state="in the lattice")


def _host(pool: CustomResource, pod: str, host: JsonObject, *, fine: bool, state: str) -> JsonObject:
    return {
        "id": f"host/{pool.metadata.namespace}/{pod}",
        "kind": "host",
        "pool": f"pool/{pool.metadata.key}",
        "namespace": pool.metadata.namespace,
        "pod": pod,
        "name": host.get("friendlyName") or pod,
        "host": host.get("id"),
        "node": host.get("node"),
        "version": host.get("version"),
        "labels": as_object(host.get("labels")),
        "components": host.get("components", 0),
        "providers": host.get("providers", 0),
        "applications": list(as_objects(host.get("applications"))),
        "fine": fine,
        "state": state,
    }


def _application(item: CustomResource, row: status.ApplicationRow) -> JsonObject:
    state = status_of(item)
    components = list(as_objects(spec_of(item).get("components")))
    return {
        "id": f"application/{item.metadata.key}",
        "kind": "application",
        **asdict(row),
        "labels": item.metadata.labels,
        "components": [_component(component) for component in components],
        "links": [link for component in components for link in _links(component)],
        "scalers": list(as_objects(state.get("scalers"))),
        "placements": list(as_objects(state.get("placements"))),
        "placementCount": state.get("placementCount", 0),
        "services": list(as_objects(state.get("services"))),
    }


def _component(component: JsonObject) -> JsonObject:
    properties = as_object(component.get("properties"))
    return {
        "name": str(component.get("name", "")),
        "type": str(component.get("type", "")),
        "image": properties.get("image"),
        "shared": as_object(properties.get("application")).get("name"),
    }


def _links(component: JsonObject) -> Iterator[JsonObject]:
    for trait in as_objects(component.get("traits")):
        properties = as_object(trait.get("properties"))
        if trait.get("type") == "link":
            interfaces = properties.get("interfaces")
            words = [
                f"{properties.get('namespace', '')}:{properties.get('package', '')}",
                ", ".join(map(str, interfaces)) if isinstance(interfaces, list) else "",
            ]
            yield {"from": str(component.get("name", "")), "to": _target(properties), "label": "/".join(words)}


def _target(properties: JsonObject) -> str:
    """The name of a link's target: an object since wadm 0.14, before that the name itself."""
    target = properties.get("target")
    return str(as_object(target).get("name", "") if isinstance(target, dict) else target or "")


def _recent(snapshot: Snapshot, now: datetime, gone: Iterable[JsonObject]) -> list[JsonObject]:
    since = now - RECENT
    items = (("pool", snapshot.pools), ("application", snapshot.applications))
    entries = [
        *(entry for kind, found in items for item in found for entry in _changes(kind, item)),
        *(_made("host", pod) for pod in snapshot.pods),
        *gone,
    ]
    fresh = [entry for entry in entries if (at := _time(entry["at"])) is not None and at >= since]
    fresh.sort(key=lambda entry: (str(entry["at"]), str(entry["of"]), str(entry["text"])), reverse=True)
    return fresh[:_MOST_RECENT]


def _changes(kind: str, item: CustomResource) -> Iterator[JsonObject]:
    yield _made(kind, item)
    for entry in as_objects(status_of(item).get("conditions")):
        if entry.get("type") not in _ECHOES:
            words = [f"{entry.get('type')} is {entry.get('status')}", str(entry.get("message") or entry.get("reason"))]
            yield {"at": entry.get("lastTransitionTime"), "of": f"{kind}/{item.metadata.key}", "text": ": ".join(words)}


def _made(kind: str, item: CustomResource | Unstructured) -> JsonObject:
    return {"at": item.metadata.creation_timestamp, "of": f"{kind}/{item.metadata.key}", "text": "created"}


def _time(text: Json) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
