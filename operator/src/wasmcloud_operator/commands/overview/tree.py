"""`kubectl wasmcloud tree`: what belongs to what, each leaf with its state. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wasmcloud_operator.commands.overview import pods
from wasmcloud_operator.commands.overview.snapshot import (
    Snapshot,
    as_object,
    as_objects,
    lattice_of,
    spec_of,
    status_of,
)
from wasmcloud_operator.kube.objects import CustomResource, Unstructured

_SERVES = "serves.k8s.wasmcloud.dev/"


@dataclass(frozen=True, slots=True)
class Branch:
    """One line of the tree and what hangs below it."""

    text: str
    below: tuple[Branch, ...] = ()

    def lines(self) -> Iterator[str]:
        """Yields the tree as text, with lines that show what hangs where."""
        yield self.text
        for position, branch in enumerate(self.below):
            last = position == len(self.below) - 1
            head, rest = ("└─ ", "   ") if last else ("├─ ", "│  ")
            first, *others = branch.lines()
            yield head + first
            yield from (rest + line for line in others)


def of_pool(pool: CustomResource, snapshot: Snapshot) -> Branch:
    """Returns host config → pods → node, host and what it runs; and the applications of its lattice."""
    hosts = {str(host.get("pod")): host for host in as_objects(status_of(pool).get("hosts"))}
    below = [_pod(pod, hosts.get(pod.metadata.name, {})) for pod in snapshot.pods_of(pool)]
    applications = [app for app in snapshot.applications if status_of(app).get("hostConfig") == pool.metadata.name]
    own = [app for app in applications if app.metadata.namespace == pool.metadata.namespace]
    below += [Branch(_application_line(app)) for app in own]
    return Branch(f"WasmCloudHostConfig {pool.metadata.key}  lattice {lattice_of(pool)}", tuple(below))


def of_lattice(name: str, snapshot: Snapshot) -> Branch:
    """Returns lattice → its host configs, with their pods → its Applications."""
    pools = tuple(of_pool(pool, snapshot) for pool in snapshot.pools_in(name))
    known = {(pool.metadata.namespace, pool.metadata.name) for pool in snapshot.pools_in(name)}
    others = tuple(
        Branch(_application_line(app))
        for app in snapshot.applications
        if status_of(app).get("lattice") == name
        and (app.metadata.namespace, status_of(app).get("hostConfig")) not in known
    )
    return Branch(f"Lattice {name}", pools + others)


def of_application(application: CustomResource, snapshot: Snapshot) -> Branch:
    """Returns Application → components with their scalers → and its Services → the pods that serve them."""
    scalers = list(as_objects(status_of(application).get("scalers")))
    components = [
        Branch(
            f"{component.get('type', 'component')} {component.get('name')}",
            tuple(_scaler(entry) for entry in scalers if _is_of(entry, str(component.get("name")))),
        )
        for component in as_objects(spec_of(application).get("components"))
    ]
    services = [_service(entry, snapshot) for entry in as_objects(status_of(application).get("services"))]
    return Branch(_application_line(application), (*components, *services))


def _application_line(application: CustomResource) -> str:
    status = status_of(application)
    parts = [f"Application {application.metadata.key}", str(status.get("phase") or "not looked at yet")]
    if status.get("lattice"):
        parts.append(f"lattice {status['lattice']}")
    return "  ".join(parts)


def _is_of(scaler: dict[str, object], component: str) -> bool:
    """Whether a scaler is of a component: wadm names a scaler by it, a link by both of its ends."""
    words = str(scaler.get("name", "")).replace("->", " ").replace("-(", " ").split()
    return component in words


def _scaler(entry: dict[str, object]) -> Branch:
    words = f": {entry['message']}" if entry.get("message") else ""
    return Branch(f"{entry.get('kind')} {entry.get('status')}{words}")


def _service(entry: dict[str, object], snapshot: Snapshot) -> Branch:
    namespace, name = str(entry.get("namespace")), str(entry.get("name"))
    label = f"{_SERVES}{name}"
    serving = [
        pod for pod in snapshot.pods if pod.metadata.namespace == namespace and pod.metadata.labels.get(label) == "true"
    ]
    urls = entry.get("urls")
    shown = " ".join(map(str, urls)) if isinstance(urls, list) else ""
    line = f"Service {namespace}/{name}  {entry.get('readyEndpoints', 0)} ready  {shown}".rstrip()
    return Branch(line, tuple(_pod(pod, {}) for pod in serving))


def _pod(pod: Unstructured, host: dict[str, object]) -> Branch:
    state = pods.trouble(pod) or "ready"
    below = []
    if host:
        runs = f"{host.get('components', 0)} components, {host.get('providers', 0)} providers"
        below.append(Branch(f"host {host.get('friendlyName') or host.get('id')} {host.get('version', '')}  {runs}"))
    node = pods.node_of(pod)
    address = as_object(pod.body.get("status")).get("podIP")
    where = "  ".join(filter(None, (f"on {node}" if node else "", str(address or ""))))
    return Branch(f"Pod {pod.metadata.name}  {state}  {where}".rstrip(), tuple(below))
