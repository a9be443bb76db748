"""`kubectl wasmcloud tree`: what belongs to what, each leaf with its state. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from wasmcloud_operator.base.jsontypes import JsonObject, as_object, as_objects
from wasmcloud_operator.commands.overview import pods
from wasmcloud_operator.commands.overview.snapshot import Snapshot, lattice_of, spec_of, status_of
from wasmcloud_operator.commands.overview.status import is_fine
from wasmcloud_operator.commands.overview.tables import Branch
from wasmcloud_operator.expose.naming import serves_label
from wasmcloud_operator.kube.objects import CustomResource, Unstructured


def of_pool(pool: CustomResource, snapshot: Snapshot) -> Branch:
    """Returns host config → pods → node, host and what it runs; and the applications of its lattice."""
    hosts = {str(host.get("pod")): host for host in as_objects(status_of(pool).get("hosts"))}
    below = [_pod(pod, hosts.get(pod.metadata.name, {})) for pod in snapshot.pods_of(pool)]
    below += [_application(app) for app in snapshot.applications_by(pool)]
    line = f"WasmCloudHostConfig {pool.metadata.key}  lattice {lattice_of(pool)}"
    return Branch(line, tuple(below), is_fine(pool))


def of_lattice(name: str, snapshot: Snapshot) -> Branch:
    """Returns lattice → its host configs, with their pods → its Applications."""
    pools = snapshot.pools_in(name)
    known = {app.metadata.key for pool in pools for app in snapshot.applications_by(pool)}
    others = [_application(app) for app in snapshot.applications_in(name) if app.metadata.key not in known]
    return Branch(f"Lattice {name}", (*(of_pool(pool, snapshot) for pool in pools), *others))


def of_application(application: CustomResource, snapshot: Snapshot) -> Branch:
    """Returns Application → components → their scalers, and the hosts that run them → pods → nodes.

    And its Services → the pods that serve them.
    """
    status = status_of(application)
    scalers = list(as_objects(status.get("scalers")))
    placed: defaultdict[str, list[JsonObject]] = defaultdict(list)
    for entry in as_objects(status.get("placements")):
        placed[str(entry.get("component"))].append(entry)
    shown = sum(map(len, placed.values()))
    components = [
        Branch(
            f"{component.get('type', 'component')} {name}",
            (
                *(_scaler(entry) for entry in scalers if _is_of(entry, name)),
                *(_placement(entry, snapshot) for entry in placed.pop(name, ())),
            ),
        )
        for component in as_objects(spec_of(application).get("components"))
        if (name := str(component.get("name")))
    ]
    # wadm takes them down after an edit.
    former = [
        Branch(f"{name}, no longer in the manifest", tuple(_placement(entry, snapshot) for entry in entries))
        for name, entries in placed.items()
    ]
    total = status.get("placementCount")
    more = [Branch(f"on {total - shown} more hosts")] if isinstance(total, int) and total > shown else []
    services = [_service(entry, snapshot) for entry in as_objects(status.get("services"))]
    return _application(application, (*components, *former, *more, *services))


def _application(application: CustomResource, below: tuple[Branch, ...] = ()) -> Branch:
    status = status_of(application)
    parts = [f"Application {application.metadata.key}", str(status.get("phase") or "not looked at yet")]
    if status.get("lattice"):
        parts.append(f"lattice {status['lattice']}")
    return Branch("  ".join(parts), below, is_fine(application))


def _is_of(scaler: JsonObject, component: str) -> bool:
    """Whether a scaler is of a component: wadm names a scaler by it, a link by both of its ends."""
    words = str(scaler.get("name", "")).replace("->", " ").replace("-(", " ").split()
    return component in words


def _scaler(entry: JsonObject) -> Branch:
    words = f": {entry['message']}" if entry.get("message") else ""
    return Branch(f"{entry.get('kind')} {entry.get('status')}{words}", fine=_JUDGED.get(str(entry.get("status"))))


# wadm's words for a scaler; in between it is at work.
_JUDGED = {"deployed": True, "failed": False, "unhealthy": False}


def _placement(entry: JsonObject, snapshot: Snapshot) -> Branch:
    """Returns host → pod → node. A host outside of this cluster has no pod; of one that cannot be read, the name is."""
    identifier = str(entry.get("host"))
    host = snapshot.host(identifier)
    instances = entry.get("instances", 1)
    up_to = f"up to {instances} instances" if instances != 1 else "1 instance"
    line = f"host {host.get('friendlyName') or identifier}  {up_to}"
    name, namespace = str(entry.get("pod") or ""), str(entry.get("namespace") or "")
    if not name:
        return Branch(line)
    if (pod := snapshot.pod(namespace, name)) is not None:
        return Branch(line, (_pod(pod, {}),))
    where = f"  on {host['node']}" if host.get("node") else ""
    return Branch(line, (Branch(f"Pod {namespace}/{name}{where}"),))


def _service(entry: JsonObject, snapshot: Snapshot) -> Branch:
    namespace, name = str(entry.get("namespace")), str(entry.get("name"))
    ready, urls = entry.get("readyEndpoints", 0), entry.get("urls")
    shown = " ".join(map(str, urls)) if isinstance(urls, list) else ""
    line = f"Service {namespace}/{name}  {ready} ready  {shown}".rstrip()
    return Branch(line, tuple(_pod(pod, {}) for pod in _serving(namespace, name, snapshot)), bool(ready))


def _serving(namespace: str, service: str, snapshot: Snapshot) -> Iterator[Unstructured]:
    label = serves_label(service)
    for pod in snapshot.pods:
        if pod.metadata.namespace == namespace and pod.metadata.labels.get(label) == "true":
            yield pod


def _pod(pod: Unstructured, host: JsonObject) -> Branch:
    trouble = pods.trouble(pod)
    below = []
    if host:
        runs = f"{host.get('components', 0)} components, {host.get('providers', 0)} providers"
        below.append(Branch(f"host {host.get('friendlyName') or host.get('id')} {host.get('version', '')}  {runs}"))
    node = pods.node_of(pod)
    address = as_object(pod.body.get("status")).get("podIP")
    where = "  ".join(filter(None, (f"on {node}" if node else "", str(address or ""))))
    return Branch(f"Pod {pod.metadata.name}  {trouble or 'ready'}  {where}".rstrip(), tuple(below), not trouble)
