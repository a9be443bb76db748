"""The controllers of Services: which caches they read, and which changes concern which keys."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from wasmcloud_operator.base.jsontypes import as_object
from wasmcloud_operator.expose import naming
from wasmcloud_operator.expose.by_application import ByApplication
from wasmcloud_operator.expose.http_routes import Routes
from wasmcloud_operator.expose.lattice_books import LatticeBooks
from wasmcloud_operator.expose.listening import Connect, Listening
from wasmcloud_operator.expose.manifests import AppKey, ManifestReconciler, tenant_of
from wasmcloud_operator.expose.outcomes import Outcomes
from wasmcloud_operator.expose.plan import claim_of
from wasmcloud_operator.expose.pod_labels import LABELS, PodLabeler
from wasmcloud_operator.expose.queries import Deployed, ServiceQueries, asked_by
from wasmcloud_operator.expose.reader import ManifestReader
from wasmcloud_operator.expose.reconciler import ServiceReconciler
from wasmcloud_operator.expose.status import FIELD_MANAGER, ExposedWriter
from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube.apply import ManagedKind
from wasmcloud_operator.kube.codec import METADATA, UNSTRUCTURED
from wasmcloud_operator.kube.controller import Controller
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import CustomResource, Metadata, Pod, Unstructured
from wasmcloud_operator.kube.queue import Priority
from wasmcloud_operator.kube.resources import ENDPOINT_SLICE, HTTP_ROUTE, INGRESS, POD, SERVICE, Key, Resource
from wasmcloud_operator.kube.store import Change
from wasmcloud_operator.lattice.host_types import Host, InventoryChange
from wasmcloud_operator.lattice.lattice import Lattice, LatticeEvent
from wasmcloud_operator.lattice.ledger import AppsListed
from wasmcloud_operator.lattice.wadm_events import ManifestPublished, ManifestUnpublished
from wasmcloud_operator.legacy.services import RENAMED_SELECTOR, SLICE_SELECTOR, RustServices
from wasmcloud_operator.names import HOST_CONTAINER, MANAGED_SELECTOR
from wasmcloud_operator.shared.context import NAMESPACE_INDEX, OWNER_INDEX, Context, own_namespace, owner_uids
from wasmcloud_operator.shared.hosts_in_pods import HostsInPods
from wasmcloud_operator.shared.placement_gaps import PlacementGaps
from wasmcloud_operator.shared.pools import Pool
from wasmcloud_operator.shared.unowned_problems import UnownedProblems
from wasmcloud_operator_types import POD_UID_LABEL

# Endpoints come in numbers when an application starts: one status shows them together.
_STATUS_SECONDS = 0.5
# The controller of EndpointSlices has to know a pod's label before the Service that is taken over selects by it.
_LABEL_SECONDS = 1.0


def service_controllers(
    context: Context,
    hosts_in_pods: HostsInPods,
    placements: PlacementGaps,
    unowned: UnownedProblems,
    *,
    deployed: Deployed | None,
    connect: Connect,
) -> tuple[Controller[Any], ...]:
    """The controllers of Services, wired to their caches; without `deployed` no Applications are followed.

    `connect` finds out whether a pod listens.

    From now on `placements` answers by what they have read, and `unowned` holds what no Application can show.
    """
    wiring = _Wiring(context, hosts_in_pods, unowned, deployed, Listening(context.clock, connect))
    placements.on = wiring.queries.placement_on
    return wiring.controllers


class _Wiring:
    """Makes the parts and has every change put the keys that it concerns into the queues."""

    def __init__(
        self,
        context: Context,
        hosts_in_pods: HostsInPods,
        unowned: UnownedProblems,
        deployed: Deployed | None,
        listening: Listening,
    ) -> None:
        self.context = context
        self.hosts_in_pods = hosts_in_pods
        self.pools = context.pools
        self.pods = context.host_pods()
        services = context.managed(SERVICE)
        ingresses = context.managed(INGRESS)
        http_routes = ManagedKind(HTTP_ROUTE, _not_followed_yet(context))
        self.applications: Informer[CustomResource] | None = (
            context.informers.made(APPLICATION) if deployed is not None else None
        )
        configs: Informer[CustomResource] = context.informers.made(HOST_CONFIG)
        self.owned = ByApplication(services.informer, self._on_service)
        self.queries = ServiceQueries(
            pools=context.pools,
            books=LatticeBooks(context.pools.has),
            configs=configs,
            services=services.informer,
            by_application=self.owned,
            applications=self.applications,
            deployed=deployed or (lambda *_: None),
            scope=context.scope.wanted,
        )
        self.rust = RustServices(
            context.writer,
            services.informer,
            _left(context, SERVICE, RENAMED_SELECTOR),
            _left(context, ENDPOINT_SLICE, SLICE_SELECTOR),
            self._is_served,
        )
        self.rust.listen(self._on_left)
        outcomes = Outcomes(self._on_outcome)
        routes = Routes(
            client=context.reader,
            applier=context.applier,
            clock=context.clock,
            http_routes=http_routes,
            ingresses=ingresses,
            owned_http_routes=ByApplication(http_routes.informer, self._on_route),
            owned_ingresses=ByApplication(ingresses.informer, self._on_route),
            namespaces=context.scope.wanted,
        )
        reconciler = ServiceReconciler(
            queries=self.queries,
            services=services,
            owned=self.owned,
            routes=routes,
            rust=self.rust,
            applier=context.applier,
            client=context.writer,
            recorder=context.recorder,
            outcomes=outcomes,
            unowned=unowned,
        )
        self.reader = ManifestReconciler(
            self.queries, ManifestReader(context.cluster_id, self.applications), context.clock, self._on_manifest
        )
        self.labeler = PodLabeler(
            queries=self.queries,
            hosts_in_pods=hosts_in_pods,
            client=context.writer,
            pods=self.pods,
            clock=context.clock,
            paced=context.applier.paced,
            listening=listening,
        )
        self.manifests: Controller[AppKey] = Controller(
            "manifest",
            self.reader.reconcile,
            clock=context.clock,
            metrics=context.metrics,
            workers=context.workers,
            timeout=context.reconcile_timeout,
            report=self.reader.report,
            span=context.span,
            tenant=tenant_of,
        )
        self.services = context.controller("service", reconciler.reconcile, reconciler.report)
        self.labels = context.controller("podlabels", self.labeler.reconcile, parts=((POD, LABELS),))
        self.controllers: tuple[Controller[Any], ...] = (self.manifests, self.services, self.labels)
        if self.applications is not None:
            part = context.status_part(
                APPLICATION, context.applications_writer, field_manager=FIELD_MANAGER, part="status.services"
            )
            writer = ExposedWriter(
                queries=self.queries,
                part=part,
                applications=self.applications,
                pods=self.pods,
                outcomes=outcomes,
                recorder=context.recorder,
                clock=context.clock,
            )
            self.statuses = context.controller("exposed", writer.reconcile, parts=((APPLICATION, part.part),))
            self.controllers += (self.statuses,)
            self.applications.on_change(self._on_application)
        self.pods.on_change(self._on_pod)
        configs.on_change(self._on_config)
        self.pools.listen(self._on_pool)
        self.pools.listen_to_unused(self.queries.books.forget)
        self.pools.lattices.listen(self._on_news)
        hosts_in_pods.listen(self._on_hosts_in_pods)

    # --- from the lattices --------------------------------------------------------------------------------------------

    def _on_news(self, lattice: Lattice, news: LatticeEvent) -> None:
        if not self.pools.has(lattice):
            return
        match news:
            case ManifestPublished(name=name) | ManifestUnpublished(name=name) if not self._may_have(lattice, name):
                return
            case ManifestPublished(name=name):
                self.reader.published(AppKey(lattice, name), news)
                self._read(lattice, (name,))
            case ManifestUnpublished(name=name):
                self.reader.unpublished(AppKey(lattice, name))
                self._read(lattice, (name,))
            case AppsListed():
                self._read(lattice, self.queries.book(lattice).outdated())
                if news.occasion == "connection":
                    # What was missed meanwhile: a version may have been replaced by another of the same name.
                    self._read(lattice, self.queries.book(lattice).records, Priority.BACKGROUND)
                if news.changed:
                    self._on_listed(lattice)
            case InventoryChange():
                self._on_hosts(lattice, news)

    def _may_have(self, lattice: Lattice, application: str) -> bool:
        return self.queries.book(lattice).may_have(application)

    def _on_hosts(self, lattice: Lattice, change: InventoryChange) -> None:
        book = self.queries.book(lattice)
        if change.synced:
            self._label(lattice)
        self._read(lattice, book.using(change.configs))
        hosts = [lattice.hosts.hosts[host_id] for host_id in change.hosts if host_id in lattice.hosts.hosts]
        for application in change.applications:
            for each in {application} | book.contending(application, hosts):
                self._show(lattice, each)

    def _on_hosts_in_pods(self, lattice: Lattice, pods: Iterable[Key]) -> None:
        if self.pools.has(lattice):
            for key in pods:
                self.labels.queue.add(key)

    def _on_manifest(self, key: AppKey, completed: bool, contenders: frozenset[str], hosts: Iterable[Host]) -> None:
        """An application is known otherwise than before; `hosts` run a provider of its, by either account."""
        book = self.queries.book(key.lattice)
        for namespace in self.queries.namespaces(key.lattice):
            self.services.queue.add(Key(namespace, key.application))
        for pod in filter(None, (self.hosts_in_pods.pod(host.labels.get(POD_UID_LABEL, "")) for host in hosts)):
            self.labels.queue.add(pod.metadata.key)
        self._read(key.lattice, book.sharing(key.application))
        for application in {key.application} | contenders:
            self._show(key.lattice, application)
        if completed:
            self._label(key.lattice)

    def _on_listed(self, lattice: Lattice) -> None:
        """wadm has listed what is deployed: Services of what was not read, and it does not list, can go."""
        read = self.queries.book(lattice).read
        for namespace in self.queries.namespaces(lattice):
            self._enqueue_namespace(namespace, Priority.BACKGROUND, read)

    def _read(self, lattice: Lattice, applications: Iterable[str], priority: Priority = Priority.FRESH) -> None:
        for application in tuple(applications):
            self.manifests.queue.add(AppKey(lattice, application), priority)

    # --- from the pools -----------------------------------------------------------------------------------------------

    def _on_pool(self, pool: Pool) -> None:
        if self.pools.get(pool.key) is not None:
            self._read(pool.lattice, self.queries.book(pool.lattice).outdated())
        self._enqueue_namespace(pool.key.namespace)
        for pod in self.hosts_in_pods.pods_of(pool.key):
            self.labels.queue.add(pod.metadata.key)

    def _on_config(self, change: Change[CustomResource], listed: bool) -> None:
        if change.old is None or change.new is None or _bounds(change.old) != _bounds(change.new):
            self._enqueue_namespace(change.key.namespace, Priority.of(listed))

    def _enqueue_namespace(
        self, namespace: str, priority: Priority = Priority.FRESH, but: Collection[str] = ()
    ) -> None:
        """Look at every application that is or was exposed in a namespace, but for those of these names."""
        applications = self.owned.applications(namespace) | {key.name for key in self.rust.left(namespace)}
        for lattice in self.queries.lattices(namespace):
            applications.update(self.queries.book(lattice).records)
        for application in applications.difference(but):
            self.services.queue.add(Key(namespace, application), priority)

    # --- from the cluster ---------------------------------------------------------------------------------------------

    def _on_service(self, key: Key, change: Change[Unstructured], listed: bool) -> None:
        self.services.queue.add(key, Priority.of(listed))
        before = claim_of(change.old.metadata) if change.old is not None else None
        now = claim_of(change.new.metadata) if change.new is not None else None
        if before == now:
            return
        label = naming.serves_label(change.key.name)
        books = [self.queries.book(lattice) for lattice in self.queries.lattices(key.namespace)]
        for pod in self.pods.store.by_index(NAMESPACE_INDEX, key.namespace):
            hosts = ((book, self.hosts_in_pods.host_in(pod, book.lattice).host) for book in books)
            if label in pod.metadata.labels or any(host and book.serves(host, key.name) for book, host in hosts):
                self.labels.queue.add(pod.metadata.key, Priority.of(listed))

    def _on_route(self, key: Key, change: Change[Unstructured], listed: bool) -> None:
        del change
        self.services.queue.add(key, Priority.of(listed))

    def _on_left(self, key: Key, listed: bool) -> None:
        self.services.queue.add(key, Priority.of(listed))

    def _on_pod(self, change: Change[Pod], listed: bool) -> None:
        before, now = _served(change.old), _served(change.new)
        ready_before, ready_now = _ready(change.old), _ready(change.new)
        other = ready_before != ready_now or _running(change.old) != _running(change.new)
        if change.new is not None:
            # What our own write has left there was looked at: beside many Services a look takes milliseconds.
            relabelled = before != now and not self.labeler.is_as_written(change.new)
            if change.old is None or other or relabelled:
                self.labels.queue.add(change.key, Priority.of(listed))
        changed = before ^ now if ready_before == ready_now else before | now
        lattices = self.queries.lattices(change.key.namespace) if changed else ()
        for label in changed:
            service = Key(change.key.namespace, label.removeprefix(naming.SERVES_PREFIX))
            claim = self.owned.claims.get(service)
            if claim is not None:
                for lattice in lattices:
                    self._show(lattice, claim.application)
                if self.rust.unfinished(service):
                    self.services.queue.add_after(Key(service.namespace, claim.application), _LABEL_SECONDS)

    def _is_served(self, key: Key) -> bool:
        """Whether a pod that is ready serves the Service of that key."""
        label = naming.serves_label(key.name)
        return any(
            label in pod.metadata.labels and _ready(pod)
            for pod in self.pods.store.by_index(NAMESPACE_INDEX, key.namespace)
        )

    def _on_application(self, change: Change[CustomResource], listed: bool) -> None:
        old, new = change.old, change.new
        if old is None or new is None or _wish(old) != _wish(new):
            for namespace in self._concerned(change.key):
                self.services.queue.add(Key(namespace, change.key.name), Priority.of(listed))
        elif old.status == new.status:
            return
        self._show_application(change.key)

    def _concerned(self, key: Key) -> set[str]:
        """Returns the namespaces where an Application has Services or may have; not where another of its name has."""
        found = {key.namespace} | self.owned.namespaces(key)
        for lattice, _ in self.queries.records_of(key):
            found |= set(self.queries.namespaces(lattice))
        for lattice in self.queries.lattices(key.namespace):
            beside = self.queries.namespaces(lattice)
            found |= {namespace for namespace in beside if key.name in self.owned.applications(namespace)}
        return found

    def _on_outcome(self, key: Key) -> None:
        for lattice in self.queries.lattices(key.namespace):
            self._show(lattice, key.name)

    # --- to the queues ------------------------------------------------------------------------------------------------

    def _label(self, lattice: Lattice) -> None:
        """Look at all pods of a lattice."""
        for pool in self.pools.of(lattice):
            for pod in self.hosts_in_pods.pods_of(pool.key):
                self.labels.queue.add(pod.metadata.key, Priority.BACKGROUND)

    def _show(self, lattice: Lattice, application: str) -> None:
        """Bring the status of the Application behind what is (or was) deployed up to date, soon."""
        record = self.queries.book(lattice).records.get(application)
        if record is not None and record.owner is not None:
            self._show_application(record.owner)
        elif record is None:
            for namespace in self.queries.namespaces(lattice):
                self._show_application(Key(namespace, application))

    def _show_application(self, key: Key) -> None:
        if self.applications is not None and key in self.applications.store:
            self.statuses.queue.add_after(key, _STATUS_SECONDS)


def _not_followed_yet(context: Context) -> Informer[Unstructured]:
    """HTTPRoutes: followed in no namespace until the cluster is seen to have them."""
    return context.informers.get(
        HTTP_ROUTE,
        UNSTRUCTURED,
        indexers={OWNER_INDEX: owner_uids},
        namespaces=(),
        label_selector=MANAGED_SELECTOR,
        optional=True,
    )


def _left(context: Context, resource: Resource, selector: str) -> Informer[Metadata]:
    indexers = {NAMESPACE_INDEX: own_namespace}
    return context.informers.get(
        resource, METADATA, purpose="formerly", indexers=indexers, label_selector=selector, metadata_only=True
    )


def _served(pod: Pod | None) -> frozenset[str]:
    labels = pod.metadata.labels if pod is not None else ()
    return frozenset(key for key in labels if key.startswith(naming.SERVES_PREFIX))


def _ready(pod: Pod | None) -> bool:
    return pod is not None and pod.ready and not pod.metadata.deleting


def _running(pod: Pod | None) -> datetime | None:
    return pod.running_since(HOST_CONTAINER) if pod is not None else None


def _wish(item: CustomResource) -> tuple[object, ...]:
    """The parts of an Application that decide which Services it wants."""
    return asked_by(item), as_object(item.status).get("latticeId")


def _bounds(config: CustomResource) -> tuple[object, ...]:
    """The parts of a host config that decide which Services there can be beside it."""
    return config.metadata.annotations.get(naming.EXPOSURE), config.metadata.generation, config.metadata.deleting
