"""The controllers of Applications: which caches they read, and which news concern which Application."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from wasmcloud_operator.application.deletion import Deletion, left_in_wadm
from wasmcloud_operator.application.lattice_selector import LatticeSelector
from wasmcloud_operator.application.left_on_purpose import LeftOnPurpose
from wasmcloud_operator.application.owners import Owners
from wasmcloud_operator.application.place import lattices_of
from wasmcloud_operator.application.placements import FIELD_MANAGER, HostsByApplication, PlacementWriter, deciding
from wasmcloud_operator.application.reconciler import ApplicationReconciler
from wasmcloud_operator.application.writer import FINALIZERS, ApplicationWriter, own_status
from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube.codec import CUSTOM_RESOURCE
from wasmcloud_operator.kube.controller import Controller
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import CustomResource, Unstructured
from wasmcloud_operator.kube.queue import Priority, WorkQueue
from wasmcloud_operator.kube.resources import SERVICE, Key
from wasmcloud_operator.kube.status_part import StatusPart
from wasmcloud_operator.kube.store import Change
from wasmcloud_operator.lattice.connection_types import ConnectionState
from wasmcloud_operator.lattice.host_types import InventoryChange
from wasmcloud_operator.lattice.lattice import Lattice, LatticeEvent
from wasmcloud_operator.lattice.ledger import AppsListed, AppsNotListed, EntryChanged
from wasmcloud_operator.lattice.wadm_events import ManifestPublished, ManifestUnpublished
from wasmcloud_operator.shared.context import NAMESPACE_INDEX, Context, own_namespace
from wasmcloud_operator.shared.hosts_in_pods import HostsInPods
from wasmcloud_operator.shared.pools import Pool

NAME_INDEX = "name"

# Workers wait for wadm most of the time; enough of them that lattices which do not answer leave some to the others.
_WORKERS_TIMES = 2
# A connection that is back within this was never worth a word in a status, nor a wadm that lists within it after all.
_LOST_SECONDS = 2.0
# Hosts report a dozen things within a second of starting; a status is written once a second at most.
_BURST_SECONDS = 1.0


def application_controller(context: Context, on_purpose: LeftOnPurpose) -> Controller[Key]:
    """The controller of Applications, wired to its caches."""
    informer = applications(context)
    configs: Informer[CustomResource] = context.informers.made(HOST_CONFIG)
    selector = LatticeSelector(context.pools, configs)
    client = context.applications_writer
    writer = ApplicationWriter(client, informer, context.clock, context.status_part(APPLICATION, client))

    def wake(key: Key) -> None:
        controller.queue.add(key)

    left = left_in_wadm(context.metrics.registry)
    owners = Owners(context.cluster_id, informer)
    gate = context.applications_gate
    services = context.managed(SERVICE).informer
    deletion = Deletion(
        selector=selector,
        writer=writer,
        client=context.reader,
        recorder=context.recorder,
        clock=context.clock,
        owners=owners,
        wake=wake,
        gate=gate,
        left=left,
        services=services.store,
        on_purpose=on_purpose,
    )
    reconciler = ApplicationReconciler(
        applications=informer,
        selector=selector,
        writer=writer,
        deletion=deletion,
        recorder=context.recorder,
        clock=context.clock,
        owners=owners,
        wake=wake,
        gate=gate,
    )
    parts = ((APPLICATION, writer.part.part), (APPLICATION, FINALIZERS))
    controller = context.controller(
        "application", reconciler.reconcile, reconciler.report, workers_times=_WORKERS_TIMES, parts=parts
    )
    _wire(context, _Routes(controller.queue, informer, selector), informer, configs, writer.part)
    services.on_change(partial(_on_service, controller.queue))
    return controller


def placement_controller(context: Context, hosts_in_pods: HostsInPods) -> Controller[Key]:
    """The controller of `status.placements`: a burst of a lattice's news is one write for each Application."""
    informer = applications(context)
    selector = LatticeSelector(context.pools, context.informers.made(HOST_CONFIG))
    hosts = HostsByApplication()
    part = context.status_part(
        APPLICATION, context.applications_writer, field_manager=FIELD_MANAGER, part="status.placements"
    )
    writer = PlacementWriter(
        applications=informer,
        selector=selector,
        hosts=hosts,
        pod_of=hosts_in_pods.pod,
        part=part,
        gate=context.applications_gate,
    )
    controller = context.controller("placement", writer.reconcile, parts=((APPLICATION, part.part),))
    routes = _Routes(controller.queue, informer, selector)

    def on_news(lattice: Lattice, news: LatticeEvent) -> None:
        if not isinstance(news, InventoryChange):
            return
        routes.in_lattice(lattice, hosts.take(lattice, news), Priority.BACKGROUND, after=_BURST_SECONDS)
        if news.synced:
            routes.lattice(lattice, after=_BURST_SECONDS)

    def on_application(change: Change[CustomResource], listed: bool) -> None:
        del listed
        if deciding(change.new) not in (None, deciding(change.old)):
            controller.queue.add_after(change.key, _BURST_SECONDS, Priority.BACKGROUND)

    informer.on_change(on_application)
    context.pools.lattices.listen(on_news)
    return controller


def applications(context: Context) -> Informer[CustomResource]:
    """The cache of Applications. It follows no namespace until `CrdWatch` finds that their CRD is ours."""
    indexers = {NAMESPACE_INDEX: own_namespace, NAME_INDEX: _name}
    return context.informers.get(APPLICATION, CUSTOM_RESOURCE, indexers=indexers, namespaces=(), keep_unreadable=True)


@dataclass(frozen=True, slots=True)
class _Routes:
    """Puts the keys that something concerns into the queue."""

    queue: WorkQueue[Key]
    applications: Informer[CustomResource]
    selector: LatticeSelector

    def namespace(self, namespace: str, priority: Priority) -> None:
        """All Applications of a namespace."""
        for item in self.applications.store.by_index(NAMESPACE_INDEX, namespace):
            self.queue.add(item.metadata.key, priority)

    def in_lattice(
        self, lattice: Lattice, names: Iterable[str], priority: Priority = Priority.FRESH, *, after: float = 0.0
    ) -> None:
        """The Applications of these names that are or may be in a lattice: every team has one named `hello`."""
        namespaces, holders = self.selector.namespaces(lattice), set(self.selector.holders(lattice))
        for name in names:
            keys = {Key(namespace, name) for namespace in namespaces} | {key for key in holders if key.name == name}
            for key in sorted(keys):
                if key in self.applications.store:
                    self.queue.add_after(key, after, priority)

    def lattice(self, lattice: Lattice, *, after: float = 0.0) -> None:
        """All Applications that are or may be in a lattice."""
        keys = {
            item.metadata.key
            for namespace in self.selector.namespaces(lattice)
            for item in self.applications.store.by_index(NAMESPACE_INDEX, namespace)
        }
        for key in sorted(keys | set(self.selector.holders(lattice))):
            self.queue.add_after(key, after, Priority.BACKGROUND)

    def on_event(self, lattice: Lattice, event: LatticeEvent) -> None:
        """Something happened in a lattice."""
        match event:
            case ConnectionState():
                if not event.connected:
                    self.lattice(lattice, after=_LOST_SECONDS)
            case AppsListed():
                self.listed(lattice, event)
            case AppsNotListed():  # without a list each one is asked for
                self.lattice(lattice, after=_LOST_SECONDS)
            case EntryChanged(name=name):
                self.in_lattice(lattice, [name])
            case ManifestPublished() | ManifestUnpublished():
                self.unblocked(lattice, event)

    def listed(self, lattice: Lattice, event: AppsListed) -> None:
        """wadm has listed its applications."""
        if event.anew:
            self.lattice(lattice)
        else:
            self.in_lattice(lattice, event.news, Priority.BACKGROUND)

    def unblocked(self, lattice: Lattice, event: ManifestPublished | ManifestUnpublished) -> None:
        """What stood in the way of others may be gone, what they need be there."""
        for key in self.selector.refused(lattice):
            if key.name != event.name or isinstance(event, ManifestUnpublished):
                self.queue.add(key)


def _wire(
    context: Context,
    routes: _Routes,
    applications: Informer[CustomResource],
    configs: Informer[CustomResource],
    part: StatusPart[CustomResource],
) -> None:
    def on_application(change: Change[CustomResource], listed: bool) -> None:
        if not part.is_all_of(change, own_status(change.item.status)):
            routes.queue.add(change.key, Priority.of(listed))
        if change.new is None:
            for lattice in lattices_of(change.item, context.pools):
                routes.in_lattice(lattice, [change.key.name])  # one that lost to it may have the name now

    def on_config(change: Change[CustomResource], listed: bool) -> None:
        if _lattice_of(change.old) != _lattice_of(change.new):
            routes.namespace(change.key.namespace, Priority.of(listed))

    def on_pool(pool: Pool) -> None:
        routes.namespace(pool.key.namespace, Priority.BACKGROUND)

    applications.on_change(on_application)
    configs.on_change(on_config)
    context.pools.listen(on_pool)
    context.pools.lattices.listen(routes.on_event)


def _on_service(queue: WorkQueue[Key], change: Change[Unstructured], listed: bool) -> None:
    """Have an orphaned Application, whose end waits for its Services, looked at when a Service has lost its owner."""
    before = change.old.metadata.controller if change.old is not None else None
    now = change.new.metadata.controller if change.new is not None else None
    if before is not None and before.kind == APPLICATION.kind and (now is None or now.uid != before.uid):
        queue.add(Key(change.key.namespace, before.name), Priority.of(listed))


def _lattice_of(item: CustomResource | None) -> object:
    if item is None or item.metadata.deleting:
        return None
    return item.spec.get("lattice") if isinstance(item.spec, dict) else ""


def _name(item: CustomResource) -> Iterable[str]:
    return (item.metadata.name,)
