"""`kubectl wasmcloud why`: the chain of causes, most distant first, each with what mends it. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from wasmcloud_operator.base.jsontypes import Json, JsonObject, as_object, as_objects, count_in
from wasmcloud_operator.base.printable import printable
from wasmcloud_operator.commands.overview import pods
from wasmcloud_operator.commands.overview.snapshot import (
    ListedEndpoint,
    Snapshot,
    condition,
    fails,
    holds,
    lattice_of,
    looked_at,
    spec_of,
    status_of,
)
from wasmcloud_operator.kinds import HOST_CONFIG
from wasmcloud_operator.kube.objects import CustomResource, Unstructured
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.names import PAUSED, is_paused
from wasmcloud_operator.reasons import Reason

_POOL, _APPLICATION = "wasmcloudhostconfig", "applications.core.oam.dev"
_LATTICE, _HOST_CONFIG = "k8s.wasmcloud.dev/lattice", "k8s.wasmcloud.dev/host-config"


@dataclass(frozen=True, slots=True)
class Cause:
    """A link of the chain: the object, the field that shows the cause, a sentence, and a command that mends it."""

    subject: str
    field: str
    text: str
    command: str = ""

    def __post_init__(self) -> None:
        """As for a row of a table: each is text on one line, the command that somebody copies most of all."""
        for name in ("subject", "field", "text", "command"):
            object.__setattr__(self, name, printable(getattr(self, name)))

    def __str__(self) -> str:
        where = f"{self.subject} ({self.field})" if self.field else self.subject
        return f"{where}: {self.text}" + (f"\n    {self.command}" if self.command else "")


def of_pool(pool: CustomResource, snapshot: Snapshot) -> list[Cause]:
    """Returns why a host config is not as it should be; nothing when it is."""
    return list(_pool(pool, snapshot))


def of_application(application: CustomResource, snapshot: Snapshot) -> list[Cause]:
    """Returns why an Application is not deployed or not served; nothing when it is."""
    return list(_each_pod_once(_application(application, snapshot)))


def of_service(service: Key, snapshot: Snapshot) -> list[Cause]:
    """Returns why not everything answers behind a Service; nothing when it does.

    What its EndpointSlices have counts more than what the Application's status counts.
    """
    listed = snapshot.endpoints.get(service)
    owner, counted = _owner(service, snapshot)
    if any(endpoint.ready for endpoint in listed) if listed is not None else counted:
        return list(_unready_endpoints(service, snapshot))
    if owner is not None:
        before = of_application(owner, snapshot)
    else:
        text = "belongs to no Application that you can read; one deployed by wash has no status in the cluster"
        command = _kubectl("-n", service.namespace, "get", "service", service.name, "-o", "yaml")
        before = [Cause(f"Service {service}", "", text, command), *_unready_endpoints(service, snapshot)]
        if listed is None:
            return before
    empty = _no_ready_endpoint(service, listed, counted)
    return [*(cause for cause in before if cause != empty), empty]


def _owner(service: Key, snapshot: Snapshot) -> tuple[CustomResource | None, int]:
    """Returns the Application whose status has a Service, and how many ready endpoints it counts."""
    for application in snapshot.applications:
        for entry in as_objects(status_of(application).get("services")):
            if (entry.get("namespace"), entry.get("name")) == service:
                return application, count_in(entry, "readyEndpoints")
    return None, 0


def _each_pod_once(causes: Iterable[Cause]) -> Iterator[Cause]:
    """A pod may stand in the way as a host, and as an endpoint."""
    pods_seen: set[str] = set()
    for cause in causes:
        if cause.field == _POD_FIELD and cause.subject in pods_seen:
            continue
        pods_seen.add(cause.subject)
        yield cause


def _endpoints(application: CustomResource, snapshot: Snapshot) -> Iterator[Cause]:
    """What the EndpointSlices of its Services have, where that differs from what the status counts."""
    for entry in as_objects(status_of(application).get("services")):
        service = Key(str(entry.get("namespace")), str(entry.get("name")))
        yield from _unready_endpoints(service, snapshot)
        listed, counted = snapshot.endpoints.get(service), count_in(entry, "readyEndpoints")
        if listed is not None and counted and not any(endpoint.ready for endpoint in listed):
            yield _no_ready_endpoint(service, listed, counted)


def _unready_endpoints(service: Key, snapshot: Snapshot) -> Iterator[Cause]:
    unready = [one for one in snapshot.endpoints.get(service, ()) if one.pod and not (one.ready or one.ending)]
    for endpoint in unready[:_SHOWN_PODS]:
        key = endpoint.pod
        pod = snapshot.pod(*key) if key is not None else None
        if key is None or (pod is not None and pod.metadata.deleting):
            continue
        trouble = pods.trouble(pod) if pod is not None else ""
        reason = trouble or "its EndpointSlice has it as not ready"
        text = f"is an endpoint of Service {service} that gets no requests: {reason}"
        yield Cause(f"Pod {key}", _POD_FIELD, text, _kubectl("-n", key.namespace, "describe", "pod", key.name))


def _no_ready_endpoint(service: Key, listed: Sequence[ListedEndpoint] | None, counted: int) -> Cause:
    if listed is None:
        return Cause(f"Service {service}", "", "has no ready endpoint")
    has = f"list {len(listed)} and none of them is ready" if listed else "list none"
    text = f"has no ready endpoint: its EndpointSlices {has}"
    if counted:
        text += (
            f", though {counted} pods serve it by the Application's status: either kube-controller-manager is behind,"
            " or somebody has changed the Service's selector"
        )
    selector = f"kubernetes.io/service-name={service.name}"
    command = _kubectl("-n", service.namespace, "get", "endpointslices", "-l", selector)
    return Cause(f"Service {service}", _SLICES_FIELD, text, command)


def _pool(pool: CustomResource, snapshot: Snapshot) -> Iterator[Cause]:
    subject = f"WasmCloudHostConfig {pool.metadata.key}"
    if (early := _before_reconcile(pool, subject, _POOL)) is not None:
        yield early
        return
    if fails(pool, "SecretsValid"):
        yield _from_condition(pool, subject, "SecretsValid", _describe(pool, _POOL))
    unready = [(pod, why) for pod in snapshot.pods_of(pool) if (why := pods.trouble(pod))]
    yield from _nodes((pods.node_of(pod) for pod, _ in unready), snapshot)
    for pod, why in unready[:_SHOWN_PODS]:
        command = _kubectl("-n", pod.metadata.namespace, "describe", "pod", pod.metadata.name)
        warning = snapshot.warnings.get(pod.metadata.key, "")
        text = f"{why}; the latest warning is {warning}" if warning and warning not in why else why
        yield Cause(f"Pod {pod.metadata.key}", _POD_FIELD, text, command)
    for kind in ("LatticeConnected", "WadmConnected"):
        if fails(pool, kind):
            yield _from_condition(pool, subject, kind, _describe(pool, _POOL))
    yield from _outcome(pool, subject, _POOL)


def _nodes(names: Iterable[str], snapshot: Snapshot) -> Iterator[Cause]:
    """Nodes of pods that are not ready, and are not ready themselves."""
    for name in dict.fromkeys(names):
        node = snapshot.nodes.get(name)
        if node is not None and not holds(node, "Ready"):
            found = condition(node, "Ready")
            text = f"the node is not ready: {found.get('reason')}: {found.get('message')}"
            yield Cause(f"Node {name}", "condition Ready", text, _kubectl("describe", "node", name))


def _application(application: CustomResource, snapshot: Snapshot) -> Iterator[Cause]:
    subject = f"Application {application.metadata.key}"
    if (early := _before_reconcile(application, subject, _APPLICATION)) is not None:
        yield early
        return
    pool = _pool_of(application, snapshot)
    ended = holds(application, "Ready")
    if pool is None and not ended and str(HOST_CONFIG) not in snapshot.unreadable:
        yield from _no_pool(application, snapshot, subject)
    if pool is not None and not ended:
        yield from _absent_shares(application, snapshot, subject, lattice_of(pool))
        yield from _hosts(application, pool, snapshot, subject)
    for scaler in as_objects(status_of(application).get("scalers")):
        if scaler.get("status") in ("failed", "unhealthy"):
            words = str(scaler.get("message") or scaler.get("status"))
            what = f"{subject}, {scaler.get('kind')} {scaler.get('name')}"
            target = f"app/{application.metadata.name}"
            command = _kubectl("wasmcloud", "tree", "-n", application.metadata.namespace, target)
            yield Cause(what, ".status.scalers", f"wadm: {words}", command)
    yield from _outcome(application, subject, _APPLICATION)
    if condition(application, "Exposed").get("reason", Reason.EXPOSED) not in _AS_ASKED:
        yield _from_condition(application, subject, "Exposed", _describe(application, _APPLICATION))
    yield from _endpoints(application, snapshot)


def _hosts(application: CustomResource, pool: CustomResource, snapshot: Snapshot, subject: str) -> Iterator[Cause]:
    """What of the hosts stands in the way. Once wadm has tried they are in reach: what it looked for comes first."""
    stalled = condition(application, "Stalled")
    if stalled.get("status") == "True" and stalled.get("reason") not in _WADMS_VERDICTS:
        return
    unmatched = _unmatched(application, snapshot, subject, lattice_of(pool))
    of_pool = _pool(pool, snapshot)
    for causes in (unmatched, of_pool) if status_of(application).get("scalers") else (of_pool, unmatched):
        yield from causes


def _absent_shares(application: CustomResource, snapshot: Snapshot, subject: str, lattice: str) -> Iterator[Cause]:
    """Components of other applications that wadm misses, where no such Application is deployed."""
    if condition(application, "Ready").get("reason") != Reason.DEPLOY_REJECTED:
        return
    there = {
        item.metadata.name
        for item in snapshot.applications
        if status_of(item).get("lattice") == lattice and status_of(item).get("deployedVersion")
    }
    for position, component in enumerate(as_objects(spec_of(application).get("components"))):
        owner = as_object(as_object(component.get("properties")).get("application")).get("name")
        if owner is not None and str(owner) not in there:
            text = (
                f"{component.get('name')} is shared by application {owner}, and no Application {owner}"
                f" that you can read is deployed in lattice {lattice}"
            )
            path = f".spec.components[{position}].properties.application"
            named = f"metadata.name={owner}"
            yield Cause(subject, path, text, _kubectl("get", _APPLICATION, "-A", "--field-selector", named))


def _before_reconcile(item: CustomResource, subject: str, resource: str) -> Cause | None:
    """What keeps the operator from working on an object at all."""
    namespace, name = item.metadata.namespace, item.metadata.name
    if is_paused(item.metadata.annotations):
        text = "is paused: nothing is written for it until the annotation goes"
        command = _kubectl("-n", namespace, "annotate", resource, name, f"{PAUSED}-")
        return Cause(subject, f"annotation {PAUSED}", text, command)
    if item.metadata.deleting:
        ready = condition(item, "Ready")
        text = f"is being deleted: {ready.get('message') or 'a finalizer is waited for'}"
        return Cause(subject, ".metadata.finalizers", text, _describe(item, resource))
    if not looked_at(item):
        text = "the operator has not looked at this state yet: is it running, and does it watch this namespace?"
        command = "kubectl wasmcloud doctor"
        return Cause(subject, ".status.observedGeneration", text, command)
    return None


def _outcome(item: CustomResource, subject: str, resource: str) -> Iterator[Cause]:
    """The object's own last word, where it is not ready."""
    if not holds(item, "Ready"):
        yield _from_condition(item, subject, "Ready", _describe(item, resource))


def _no_pool(application: CustomResource, snapshot: Snapshot, subject: str) -> Iterator[Cause]:
    namespace = application.metadata.namespace
    own = [pool for pool in snapshot.pools if pool.metadata.namespace == namespace]
    lattices = sorted({lattice_of(pool) for pool in own})
    if not own:
        text = f"namespace {namespace} has no host config, so there is no lattice to deploy to"
        yield Cause(f"Namespace {namespace}", "", text, _kubectl("-n", namespace, "get", "wasmcloudhostconfigs"))
    elif len(lattices) > 1 and not application.metadata.annotations.keys() & {_LATTICE, _HOST_CONFIG}:
        chosen = f"{_LATTICE}={lattices[0]}"
        command = _kubectl("-n", namespace, "annotate", _APPLICATION, application.metadata.name, chosen)
        text = f"namespace {namespace} has hosts of the lattices {', '.join(lattices)}: name one"
        yield Cause(subject, f"annotation {_LATTICE}", text, command)
    else:
        yield from _names_none(application, lattices, subject)


def _names_none(application: CustomResource, lattices: list[str], subject: str) -> Iterator[Cause]:
    """Annotations that name what the namespace does not have."""
    namespace, name = application.metadata.key
    for annotation, what in ((_HOST_CONFIG, "named"), (_LATTICE, "of lattice")):
        wanted = application.metadata.annotations.get(annotation)
        if wanted is not None:
            text = f"namespace {namespace} has no host config {what} {wanted}; it has those of {', '.join(lattices)}"
            mend = _kubectl("-n", namespace, "annotate", _APPLICATION, name, "--overwrite", f"{annotation}=…")
            yield Cause(subject, f"annotation {annotation}", text, mend)
            return


def _pool_of(application: CustomResource, snapshot: Snapshot) -> CustomResource | None:
    """The host config whose lattice the Application uses: by status, by annotation, or the only one there is."""
    namespace, annotations = application.metadata.namespace, application.metadata.annotations
    own = [pool for pool in snapshot.pools if pool.metadata.namespace == namespace]
    named, lattice = (
        status_of(application).get("hostConfig") or annotations.get(_HOST_CONFIG),
        annotations.get(_LATTICE),
    )
    if named:
        return next((pool for pool in own if pool.metadata.name == named), None)
    fitting = [pool for pool in own if lattice in (None, lattice_of(pool))]
    return fitting[0] if len({lattice_of(pool) for pool in fitting}) == 1 else None


def _unmatched(application: CustomResource, snapshot: Snapshot, subject: str, lattice: str) -> Iterator[Cause]:
    """Requirements of scalers that no host config of the lattice fulfils."""
    pools = snapshot.pools_in(lattice)
    for position, component in enumerate(as_objects(spec_of(application).get("components"))):
        for wanted, path in _requirements(component, f".spec.components[{position}]"):
            if any(wanted.items() <= labels.items() for pool in pools for labels in _labels(pool)):
                continue
            labels = ", ".join(f"{key}={value}" for key, value in sorted(wanted.items()))
            names = ", ".join(str(pool.metadata.key) for pool in pools)
            text = (
                f"{component.get('name')} wants hosts with {labels}; no host config of lattice {lattice} has that label"
            )
            mend = f"set .spec.hostLabels of one of: {names}" if names else ""
            yield Cause(subject, path, text, mend)


def _requirements(component: JsonObject, path: str) -> Iterator[tuple[dict[str, str], str]]:
    for number, trait in enumerate(as_objects(component.get("traits"))):
        spread = as_objects(as_object(trait.get("properties")).get("spread"))
        for index, entry in enumerate(spread):
            wanted = {str(key): str(value) for key, value in as_object(entry.get("requirements")).items()}
            if wanted:
                yield wanted, f"{path}.traits[{number}].properties.spread[{index}].requirements"


def _labels(pool: CustomResource) -> Iterator[dict[str, str]]:
    """Returns the labels of a host config's `hostLabels` and those that its live hosts report: hosts add some."""
    yield {"kubernetes": "true", **_texts(spec_of(pool).get("hostLabels"))}
    for host in as_objects(status_of(pool).get("hosts")):
        yield _texts(host.get("labels"))


def _texts(labels: Json) -> dict[str, str]:
    return {str(key): str(value) for key, value in as_object(labels).items()}


def _from_condition(item: CustomResource | Unstructured, subject: str, kind: str, command: str) -> Cause:
    found = condition(item, kind)
    text = str(found.get("message") or found.get("reason") or "has no such condition yet")
    return Cause(subject, f"condition {kind}, {found.get('reason', 'not set')}", text, command)


def _describe(item: CustomResource, resource: str) -> str:
    return _kubectl("-n", item.metadata.namespace, "describe", resource, item.metadata.name)


def _kubectl(*words: str) -> str:
    """Returns a command to be copied: what a name holds is nothing to the shell."""
    return shlex.join(("kubectl", *words))


_SHOWN_PODS = 5
_POD_FIELD, _SLICES_FIELD = ".status", "EndpointSlices"
# Reasons of Stalled that are wadm's report of what it could not do, as against what it refused to begin.
_WADMS_VERDICTS = frozenset({Reason.FAILED, Reason.UNHEALTHY})
# Reasons of Exposed with which there is nothing to mend; with any other a part of what is wanted is missing.
_AS_ASKED = frozenset({Reason.EXPOSED, Reason.DISABLED})
