"""What the reconcilers of Services, pod labels and status look at together: pools, books, Applications, plans."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from wasmcloud_operator.base.jsontypes import as_object
from wasmcloud_operator.expose import naming
from wasmcloud_operator.expose.annotations import Options, Reach, read_object, read_options, read_reach
from wasmcloud_operator.expose.by_application import ByApplication
from wasmcloud_operator.expose.lattice_books import CachedPlan, LatticeBook, LatticeBooks
from wasmcloud_operator.expose.placement import runs
from wasmcloud_operator.expose.plan import Claim, Plan, PlannedService, Record, claim_of, plan
from wasmcloud_operator.expose.standstill import awaited
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.namespaces import ALL_NAMESPACES
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta, Unstructured
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.host_types import Host
from wasmcloud_operator.lattice.lattice import Lattice
from wasmcloud_operator.lattice.ledger import ListState
from wasmcloud_operator.manifest.http_endpoints import POD_PORTS, http_servers
from wasmcloud_operator.manifest.walking import Object, place_on
from wasmcloud_operator.names import is_orphan, users_own
from wasmcloud_operator.shared.context import NAMESPACE_INDEX
from wasmcloud_operator.shared.placement_gaps import PlacementGap
from wasmcloud_operator.shared.pools import Pools
from wasmcloud_operator_types.defaults import ADMIN_PORT

# The annotations that ask for more than a host config has to allow.
_BEYOND_THE_CLUSTER = frozenset({naming.SERVICE_TYPE, naming.SERVICE_ANNOTATIONS, naming.GATEWAY, naming.INGRESS_CLASS})

# The manifest that an Application has in wadm under a version, if by its status that is still its content.
Deployed = Callable[[CustomResource, str], Object | None]


def asked_by(item: CustomResource) -> tuple[object, ...]:
    """Returns the parts of an Application that ask for its Services; its status changes far more often."""
    meta = item.metadata
    return meta.uid, meta.generation, meta.deleting, users_own(meta.annotations)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the host configs of a lattice set in a namespace: how far its applications may reach, and the ports of a
    pod that are not theirs, with who has each; not `complete` while a host config may set more.
    """

    reach: frozenset[Reach]
    ports: Mapping[int, str]
    complete: bool


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What decides about all applications of a lattice in a namespace alike, as it is now.

    `undeclared` are the names of the lattices of host configs whose connection is not known (yet).
    """

    bounds: Bounds
    lattices: tuple[Lattice, ...]
    undeclared: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceQueries:
    """Answers about now. `applications` is None where no Applications are followed, `scope` where they may be."""

    pools: Pools
    books: LatticeBooks
    configs: Informer[CustomResource]
    services: Informer[Unstructured]
    by_application: ByApplication
    applications: Informer[CustomResource] | None
    deployed: Deployed
    scope: Collection[str] = (ALL_NAMESPACES,)

    def lattices(self, namespace: str) -> list[Lattice]:
        """The lattices of a namespace's pools, each once."""
        return list(dict.fromkeys(pool.lattice for pool in self.pools.in_namespace(namespace)))

    def namespaces(self, lattice: Lattice) -> list[str]:
        """The namespaces with pools of a lattice."""
        return sorted({pool.key.namespace for pool in self.pools.of(lattice)})

    def undecided(self, namespace: str, lattice: str = "") -> bool:
        """Whether there is a host config whose lattice is not known (yet); with a lattice's name, one that names it."""
        unread = (key for key in self.configs.store.unreadable if self.pools.get(key) is None)
        unreadable = any(key.namespace == namespace for key in unread)
        undeclared = self._undeclared(namespace)
        concerned = lattice in undeclared if lattice else bool(undeclared)
        return unreadable or not self.configs.synced_in(namespace) or concerned

    def is_unreadable(self, application: str) -> bool:
        """Whether an Application of that name, in whichever namespace, cannot be decoded."""
        return self.applications is not None and any(
            key.name == application for key in self.applications.store.unreadable
        )

    def settled(self, namespace: str, metadata: ObjectMeta) -> bool:
        """Whether everything is known of the lattice and the application that an object of ours leads to."""
        claim = claim_of(metadata)
        if self.undecided(namespace, claim.lattice):
            return False
        return all(
            self.book(lattice).sure_of(claim.application)
            for lattice in self.lattices(namespace)
            if claim.lattice_id in lattice.identity.ids
        )

    def _undeclared(self, namespace: str) -> frozenset[str]:
        """The names of the lattices of host configs whose connection is not known (yet)."""
        return frozenset(
            str(config.spec.get("lattice", ""))
            for config in self.configs.store.by_index(NAMESPACE_INDEX, namespace)
            if not config.metadata.deleting
            and isinstance(config.spec, dict)
            and self.pools.get(config.metadata.key) is None
        )

    def book(self, lattice: Lattice) -> LatticeBook:
        """What is known of a lattice's applications."""
        return self.books.book(lattice)

    def application(self, record: Record) -> CustomResource | None:
        """The Application that a record comes from, if this cluster has it still."""
        owner = self._owner(record)
        return self.applications.store.get(owner) if self.applications is not None and owner is not None else None

    def standing_still(self, key: Key) -> str:
        """Why nothing of an application's Services in a namespace may change now: what is waited for; else ""."""
        records = (self.book(lattice).records.get(key.name) for lattice in self.lattices(key.namespace))
        owners = {record.owner for record in records if record is not None and record.owner is not None}
        homes = {Key(claim.home, key.name) for _, claim in self.by_application.claimed(key)}
        return next(filter(None, map(self._awaited, sorted(owners | homes))), "")

    def _awaited(self, owner: Key | None) -> str:
        return awaited(self.applications, self.scope, owner)

    def _owner(self, record: Record) -> Key | None:
        """The key of the Application that a record comes from, if its owner is of this cluster."""
        owner = record.owner
        if self.applications is None or owner is None or owner.name != record.application:
            return None
        return owner if self.applications.synced_in(owner.namespace) else None

    def _options(self, namespace: str, lattice: Lattice, record: Record, bounds: Bounds) -> Options:
        """What is asked for in a namespace: anything by an Application there, only a way to the pods by others.

        An Application of this cluster that is gone, or about to go, asks for nothing; what it leaves behind on purpose
        is kept as it was, and so is what must not change now, or may be allowed by a host config that is not known yet.
        """
        item = self.application(record)
        if self._awaited(record.owner):
            options = read_options(item.metadata.annotations) if item is not None else Options()
            return replace(options, enabled=True, unread=options.unread | {naming.SERVICE_NAME})
        owner = self._owner(record)
        if owner is None:
            options = read_options(record.annotations or {})
            if not bounds.complete:
                within = options.within(bounds.reach)
                return replace(within, unread=within.unread | _BEYOND_THE_CLUSTER)
            where = f"the annotation {naming.EXPOSURE} of a host config in namespace {namespace}"
            return options.within(bounds.reach, where=where)
        if item is not None and self._is_elsewhere(item, self.lattices(namespace), lattice):
            return Options(enabled=False)
        if item is None or _takes_all_along(item):
            left = self.orphaned(Key(namespace, record.application))
            return Options(enabled=False) if left is None else read_options(left)
        options = read_options(item.metadata.annotations)
        return options if owner.namespace == namespace else options.within(frozenset())

    def surroundings(self, namespace: str, lattice: Lattice) -> Surroundings:
        """Returns what decides about all applications of a lattice in a namespace alike."""
        return Surroundings(
            self._bounds(namespace, lattice), tuple(self.lattices(namespace)), self._undeclared(namespace)
        )

    def _bounds(self, namespace: str, lattice: Lattice) -> Bounds:
        reach: set[Reach] = set()
        ports = dict(POD_PORTS)
        for pool in self.pools.in_namespace(namespace):
            if pool.lattice is not lattice:
                continue
            config = self.configs.store.get(pool.key)
            reach |= read_reach(config.metadata.annotations.get(naming.EXPOSURE, "")) if config is not None else set()
            probes = as_object(as_object(config and config.spec).get("probes"))
            if probes.get("enabled") is not False:
                ports[int(probes.get("port") or ADMIN_PORT)] = "the host's admin endpoint"
        return Bounds(frozenset(reach), ports, not self.undecided(namespace, lattice.name))

    def orphaned(self, key: Key) -> dict[str, str] | None:
        """The annotations of an Application that left its Services behind."""
        for item in self.by_application.of(key):
            text = item.metadata.annotations.get(naming.ORPHANED)
            if text is not None:
                return {name: str(value) for name, value in (read_object(text) or {}).items()}
        return None

    def intended(self, key: Key, home: str | None = None) -> frozenset[str]:
        """The names of the Services in a namespace that an Application wants, deployed or not; of any, or of one.

        A Service is somebody's address: it lives as long as an Application that exists wants it and offers HTTP. The
        one of the application's own name stays also when its component is renamed: the other is to take it over.
        """
        held, inherited = self._intended(key, home)
        return held | inherited

    def _intended(self, key: Key, home: str | None = None) -> tuple[frozenset[str], frozenset[str]]:
        """The names of `intended`: those of components that it has, and the one that is to be taken over."""
        held: set[tuple[str, str]] = set()
        left: set[str] = set()
        offered: frozenset[str] = frozenset()
        for item in self.by_application.of(key):
            annotations, name = item.metadata.annotations, item.metadata.name
            component = annotations.get(naming.COMPONENT, "")
            namespace = annotations.get(naming.APPLICATION_NAMESPACE, "")
            if home in (None, namespace) and self._awaited(Key(namespace, key.name)):
                held.add((component, name))
                continue
            application = self._wanting(Key(namespace, key.name)) if home in (None, namespace) else None
            options = read_options(application.metadata.annotations) if application is not None else None
            if application is None or options is None or not options.enabled:
                continue
            names = naming.service_names(options.name or key.name, component)
            servers = http_servers({"spec": application.spec})
            if component in servers and (name in names or naming.SERVICE_NAME in options.unread):
                held.add((component, name))
            elif component not in servers and name == names[0]:
                left.add(name)
            offered |= servers
        to_come = offered - {component for component, _ in held}
        return frozenset(name for _, name in held), frozenset(left if to_come else ())

    def orphan(self, claim: Claim) -> CustomResource | None:
        """The Application that has a claim, if it is about to go and to leave its Services behind."""
        item = self._wanting(Key(claim.home, claim.application))
        return item if item is not None and item.metadata.deleting else None

    def _wanting(self, key: Key) -> CustomResource | None:
        item = self.applications.store.get(key) if self.applications is not None and key.namespace else None
        return None if item is None or _takes_all_along(item) else item

    def placement_on(self, lattice: Lattice, host: Host) -> PlacementGap:
        """What wadm is to run on a host and does not run there, of HTTP providers and of what their requests need."""
        book = self.book(lattice)
        providers = [
            (record.application, provider) for record in book.records.values() for provider in record.exposure.providers
        ]
        missing = {
            f"{provider.application}/{provider.id}"
            for _, provider in providers
            if provider.belongs_on(host.labels) and not runs(host, (provider.application, provider.id))
        }
        running = host.components.keys() | host.providers.keys()
        missing |= {
            f"{application}/{needed.id}"
            for application, provider in providers
            for needed in provider.behind
            if place_on(needed.daemons, host.labels) and needed.id not in running
        }
        awaited = lattice.ledger.listing is not ListState.FAILED
        return PlacementGap(tuple(sorted(missing)), book.complete and awaited, awaited)

    def deployed_by_application(self, lattice: Lattice, application: str, version: str) -> Object | None:
        """Returns the manifest of this version, made from its Application; None where wadm has to be asked."""
        if self.applications is None:
            return None
        for namespace in self.namespaces(lattice):
            item = self.applications.store.get(Key(namespace, application))
            status = as_object(item and item.status)
            pool = self.pools.get(Key(namespace, str(status.get("hostConfig", ""))))
            if item is not None and pool is not None and pool.lattice is lattice:
                manifest = self.deployed(item, version)
                if manifest is not None:
                    return manifest
        return None

    def plan(self, namespace: str, lattice: Lattice, record: Record, around: Surroundings | None = None) -> Plan:
        """The Services of an application in a namespace; made anew only when what it is made from is other.

        `around` is that of now, which one who asks for many applications looks up once.
        """
        around = around or self.surroundings(namespace, lattice)
        key = Key(namespace, record.application)
        item = self.application(record)
        claim = _claim(lattice, record, item)
        held = {
            service.metadata.annotations.get(naming.COMPONENT, ""): service.metadata.name
            for service, held in self.by_application.claimed(key)
            if self._is_of(held, claim, around.lattices, around.undeclared)
        }
        elsewhere = item is not None and self._is_elsewhere(item, around.lattices, lattice)
        inputs = (item and asked_by(item), around.bounds, held, elsewhere, self._awaited(record.owner))
        plans = self.book(lattice).plans.setdefault(record.application, {})
        cached = plans.get(namespace)
        if cached is None or cached.inputs != inputs:
            options = self._options(namespace, lattice, record, around.bounds)
            made = plan(record, options, held, self._intended(key)[0], around.bounds.ports)
            cached = plans[namespace] = CachedPlan(inputs, made)
        return cached.plan

    def claim(self, lattice: Lattice, record: Record) -> Claim:
        """The claim of what is deployed in a lattice."""
        return _claim(lattice, record, self.application(record))

    def _is_elsewhere(self, item: CustomResource, lattices: Iterable[Lattice], lattice: Lattice) -> bool:
        """Whether an Application is deployed in another one of these lattices by now: this one is about to lose it."""
        there = as_object(item.status).get("latticeId", "")
        if there in lattice.identity.ids:  # also of another that has an address in common, and may prove to be this one
            return False
        for other in lattices:
            if there in other.identity.ids:
                record = self.book(other).records.get(item.metadata.name)
                return record is not None and record.owner == item.metadata.key
        return False

    def _is_of(self, held: Claim, claim: Claim, lattices: Collection[Lattice], undeclared: Collection[str]) -> bool:
        """Whether a Service with the claim `held` leads to what is claimed, or did before that changed its lattice.

        `lattices` and `undeclared` are those of its namespace.
        """
        if (held.application, held.home) != (claim.application, claim.home) or held.lattice in undeclared:
            return self.current(held) == claim
        for lattice in lattices:
            if held.lattice_id in lattice.identity.ids:
                record = self.book(lattice).records.get(held.application)
                item = self.application(record) if record is not None else None
                left = (
                    self.book(lattice).knows(held.application)
                    if record is None
                    else (item is not None and self._is_elsewhere(item, lattices, lattice))
                )
                return lattice.identity.id == claim.lattice_id or left
        return True

    def records_of(self, owner: Key) -> Iterator[tuple[Lattice, Record]]:
        """What is deployed that was made from an Application."""
        for lattice in self.pools.among(self.books.lattices_of(owner)):
            yield lattice, self.book(lattice).records[owner.name]

    def wants(self, namespace: str, claim: Claim, service: str) -> bool:
        """Whether that claim on a Service's name still stands in a namespace; also while that is not known."""
        if claim.lattice in self._undeclared(namespace):
            return True
        for lattice in self.lattices(namespace):
            if claim.lattice_id not in lattice.identity.ids:
                continue
            book = self.book(lattice)
            record = book.records.get(claim.application)
            if record is None and not book.knows(claim.application):
                return True
            if record is not None and any(one.name == service for one in self._planned(namespace, lattice, record)):
                return True
        return service in self.intended(Key(namespace, claim.application))

    def _planned(self, namespace: str, lattice: Lattice, record: Record) -> tuple[PlannedService, ...]:
        return self.plan(namespace, lattice, record).services

    def leads_to(self, namespace: str, service: str, claim: Claim) -> bool:
        """Whether our Service of that name leads to what is claimed, or is about to: the lattice has moved."""
        held = self.held(namespace, service)
        return (
            held is not None and held.application == claim.application and self.yields(namespace, held, service, claim)
        )

    def yields(self, namespace: str, held: Claim, service: str, claim: Claim) -> bool:
        """Whether a Service with the claim `held` may lead to what is claimed: so it does, or its claim is void."""
        if held == claim or self._is_of(held, claim, self.lattices(namespace), self._undeclared(namespace)):
            return True
        return not self.wants(namespace, held, service)

    def held(self, namespace: str, service: str) -> Claim | None:
        """The claim on our Service of that name; None if there is no such Service."""
        key = Key(namespace, service)
        item = self.services.store.get(key)
        if item is None:
            return None
        return self.current(self.by_application.claims.get(key) or claim_of(item.metadata))

    def current(self, claim: Claim) -> Claim:
        """Returns the claim with the lattice's present id: the written one may be of another route."""
        for lattice in self.pools.known_as(claim.lattice_id):
            now = lattice.identity.id
            return claim if claim.lattice_id == now else replace(claim, lattice_id=now)
        return claim


def _claim(lattice: Lattice, record: Record, item: CustomResource | None) -> Claim:
    """Returns the claim of what is deployed in a lattice, made from the Application `item` if from any."""
    home = item.metadata.namespace if item is not None else ""
    return Claim(record.application, lattice.identity.id, lattice.name, home)


def _takes_all_along(item: CustomResource) -> bool:
    """Whether an Application is about to go, with all that is its own."""
    return item.metadata.deleting and not is_orphan(item.metadata.annotations)
