"""Where the components of an Application run: `status.placements`, from what the lattice's hosts report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from wasmcloud_operator.application.lattice_selector import LatticeSelector
from wasmcloud_operator.base.jsontypes import JsonObject, as_object, as_objects
from wasmcloud_operator.kinds import APPLICATION
from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.kube.errors import Conflict, NotFound
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import CustomResource, Pod
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.kube.status_part import StatusPart
from wasmcloud_operator.lattice.host_types import Host, InventoryChange
from wasmcloud_operator.lattice.indexed import Traits
from wasmcloud_operator.lattice.lattice import Lattice
from wasmcloud_operator.manifest.walking import component_id
from wasmcloud_operator.names import RESUMPTION, is_paused
from wasmcloud_operator.shared.applications_gate import ApplicationsGate
from wasmcloud_operator_types import POD_UID_LABEL

FIELD_MANAGER = "wasmcloud-operator-placements"
MOST_SHOWN = 50
_PART = ("placementCount", "placements")
_PLACE = ("lattice", "latticeId", "hostConfig", "leaving")

PodOf = Callable[[str], Pod | None]  # by uid


class HostsByApplication:
    """Which hosts of a lattice run something of an application, so that no look-up walks through all hosts."""

    def __init__(self) -> None:
        # By lattice: the ids of its hosts, each with the applications of which it runs something.
        self._of: WeakKeyDictionary[Lattice, Traits[str, str]] = WeakKeyDictionary()

    def take(self, lattice: Lattice, change: InventoryChange) -> set[str]:
        """Take in what changed; returns the applications that ran or run something on the hosts concerned."""
        index, concerned = self._of.setdefault(lattice, Traits()), set[str]()
        for host_id in change.hosts:
            host = lattice.hosts.hosts.get(host_id)
            concerned |= index.of(host_id)
            index.put(host_id, applications_on(host) if host is not None else ())
            concerned |= index.of(host_id)
        return concerned

    def hosts(self, lattice: Lattice, application: str) -> Iterator[Host]:
        """The hosts that run something of an application, by id."""
        index, alive = self._of.get(lattice), lattice.hosts.hosts
        for host_id in sorted(index.having(application) if index is not None else ()):
            if host_id in alive:
                yield alive[host_id]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementWriter:
    """Writes `status.placements` and `status.placementCount`, and nothing else, as a field manager of its own."""

    applications: Informer[CustomResource]
    selector: LatticeSelector
    hosts: HostsByApplication
    pod_of: PodOf
    part: StatusPart[CustomResource]
    gate: ApplicationsGate

    async def reconcile(self, key: Key) -> Result:
        """Write where the Application runs, if that is known and another than is written. Raises `kube.errors`."""
        item = self.applications.store.get(key)
        if item is None or item.metadata.deleting:
            return DONE
        if is_paused(item.metadata.annotations):
            return Result.waiting(RESUMPTION)
        if not self.gate.ours:
            return Result.waiting(f"the CRD {APPLICATION}, which may be another project's by now")
        status = as_object(item.status)
        found: JsonObject = {}
        if "deployedVersion" in status:
            lattice = self.selector.last(item)
            if lattice is None or not lattice.hosts.synced:
                return Result.waiting("the hosts of its lattice")  # what was found before stands
            found = placements(item, self.hosts.hosts(lattice, key.name), self.pod_of)
        before: JsonObject = {name: status[name] for name in _PART if name in status}
        with suppress(NotFound, Conflict):  # gone, or another one of that name: the watch brings it
            await self.part.write_and_cache(self.applications, item, before, found)
        return DONE


def deciding(item: CustomResource | None) -> tuple[object, ...] | None:
    """The parts of an Application that decide what `PlacementWriter` writes: most of its changes are other statuses.

    None where it writes nothing: of what is not deployed, and has no placements to be taken away.
    """
    status = as_object(item and item.status)
    deployed = "deployedVersion" in status
    if item is None or not (deployed or any(name in status for name in _PART)):
        return None
    meta = item.metadata
    parts = [status.get(name) for name in (*_PLACE, *_PART)]
    return meta.uid, meta.generation, meta.annotations, meta.deleting, deployed, parts


def applications_on(host: Host) -> Iterator[str]:
    """The applications that run something on a host, some more than once."""
    yield from (component.application for component in host.components.values() if component.application)
    yield from (provider.application for provider in host.providers.values() if provider.application)


def placements(item: CustomResource, hosts: Iterable[Host], pod_of: PodOf) -> JsonObject:
    """Returns the two fields of the status; none where nothing runs. The first placements by component and host."""
    application = item.metadata.name
    names = _names_by_id(application, item.spec)
    found = [
        (names.get(identifier, identifier), host, instances)
        for host in hosts
        for identifier, instances in _running(host, application).items()
    ]
    if not found:
        return {}
    found.sort(key=lambda entry: (entry[0], entry[1].id))
    return {"placementCount": len(found), "placements": [_entry(*entry, pod_of) for entry in found[:MOST_SHOWN]]}


def _names_by_id(application: str, spec: object) -> dict[str, str]:
    """The names of a manifest's components by their ids in the lattice."""
    found = {}
    for entry in as_objects(as_object(spec).get("components")):
        if isinstance(name := entry.get("name"), str):
            own = as_object(entry.get("properties")).get("id")
            found[str(own or component_id(application, name))] = name
    return found


def _running(host: Host, application: str) -> Mapping[str, int]:
    """Ids and instances of what a host runs of an application."""
    found = {key: one.instances for key, one in host.components.items() if one.application == application}
    return found | {key: 1 for key, one in host.providers.items() if one.application == application}


def _entry(component: str, host: Host, instances: int, pod_of: PodOf) -> JsonObject:
    entry: JsonObject = {"component": component, "host": host.id, "instances": instances}
    pod = pod_of(host.labels.get(POD_UID_LABEL, ""))
    if pod is not None:
        entry |= {"namespace": pod.metadata.namespace, "pod": pod.metadata.name}
    return entry
