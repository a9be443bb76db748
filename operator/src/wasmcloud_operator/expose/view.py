"""What the reconcilers of Services, pod labels and status look at together: pools, books, Applications, plans."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from wasmcloud_operator.expose.directory import Directory, LatticeBook, MadePlan
from wasmcloud_operator.expose.plan import Claim, Plan, Record, claim_of, plan
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import CustomResource, Unstructured
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.lattices import Lattice
from wasmcloud_operator.manifest.http_endpoints import Object
from wasmcloud_operator.shared.pools import Pools

# The manifest that an Application has in wadm under a version, if by its status that is what it still says.
Deployed = Callable[[CustomResource, str], Object | None]


@dataclass(frozen=True, slots=True)
class View:
    """Answers about now. `applications` is None where the operator does not follow Applications."""

    pools: Pools
    directory: Directory
    configs: Informer[CustomResource]
    services: Informer[Unstructured]
    applications: Informer[CustomResource] | None
    deployed: Deployed

    def lattices(self, namespace: str) -> list[Lattice]:
        """The lattices of a namespace's pools, each once."""
        return list(dict.fromkeys(pool.lattice for pool in self.pools.in_namespace(namespace)))

    def namespaces(self, lattice: Lattice) -> list[str]:
        """The namespaces with pools of a lattice."""
        return sorted({pool.key.namespace for pool in self.pools.of(lattice)})

    def undecided(self, namespace: str) -> bool:
        """Whether there is a host config whose lattice is not known (yet)."""
        if not self.configs.synced_in(namespace):
            return True
        return any(
            config.metadata.namespace == namespace
            and not config.metadata.deleting
            and self.pools.get(config.metadata.key) is None
            for config in self.configs.store
        )

    def _undeclared(self, namespace: str) -> set[str]:
        """The names of the lattices of host configs whose connection is not known (yet)."""
        return {
            str(config.spec.get("lattice", ""))
            for config in self.configs.store
            if config.metadata.namespace == namespace
            and not config.metadata.deleting
            and isinstance(config.spec, dict)
            and self.pools.get(config.metadata.key) is None
        }

    def book(self, lattice: Lattice) -> LatticeBook:
        """What is known of a lattice's applications."""
        return self.directory.book(lattice)

    def application(self, record: Record) -> CustomResource | None:
        """The Application that a record comes from, if it is one of this cluster and still there."""
        if self.applications is None or record.owner is None or record.owner.name != record.application:
            return None
        return self.applications.store.get(record.owner)

    def deployed_by_application(self, lattice: Lattice, application: str, version: str) -> Object | None:
        """The manifest that wadm runs as this version, from the Application that it was made from; None: ask wadm."""
        if self.applications is None:
            return None
        for namespace in self.namespaces(lattice):
            item = self.applications.store.get(Key(namespace, application))
            status = item.status if item is not None and isinstance(item.status, dict) else {}
            pool = self.pools.get(Key(namespace, str(status.get("hostConfig", ""))))
            if item is not None and pool is not None and pool.lattice is lattice:
                manifest = self.deployed(item, version)
                if manifest is not None:
                    return manifest
        return None

    def plan(self, lattice: Lattice, record: Record) -> Plan:
        """The Services of an application; made anew only when the record or the annotations are others."""
        item = self.application(record)
        annotations = None if item is None else item.metadata.annotations
        plans = self.book(lattice).plans
        held = plans.get(record.application)
        if held is None or held.annotations != annotations:
            held = plans[record.application] = MadePlan(annotations, plan(record, annotations))
        return held.plan

    def records_of(self, owner: Key) -> Iterator[tuple[Lattice, Record]]:
        """What is deployed that was made from an Application."""
        for lattice in self.lattices_in_use():
            record = self.book(lattice).records.get(owner.name)
            if record is not None and record.owner == owner:
                yield lattice, record

    def lattices_in_use(self) -> list[Lattice]:
        """The lattices of all pools, each once."""
        return list(dict.fromkeys(pool.lattice for pool in self.pools.all()))

    def wants(self, namespace: str, claim: Claim, service: str) -> bool:
        """Whether that claim on a Service's name still stands in a namespace; also while nobody can tell."""
        if claim.lattice in self._undeclared(namespace):
            return True
        for lattice in self.lattices(namespace):
            if claim.lattice_id not in lattice.identity.ids:
                continue
            book = self.book(lattice)
            record = book.records.get(claim.application)
            if record is None and not book.knows(claim.application):
                return True
            if record is not None and any(one.name == service for one in self.plan(lattice, record).services):
                return True
        return False

    def leads_to(self, namespace: str, service: str, claim: Claim) -> bool:
        """Whether our Service of that name leads to what is claimed, or is about to: the lattice has moved."""
        held = self.held(namespace, service)
        if held is None or held == claim:
            return held is not None
        return held.application == claim.application and not self.wants(namespace, held, service)

    def held(self, namespace: str, service: str) -> Claim | None:
        """The claim on our Service of that name; None if there is no such Service."""
        item = self.services.store.get(Key(namespace, service))
        return None if item is None else self.current(claim_of(item.metadata))

    def current(self, claim: Claim) -> Claim:
        """The same claim by the id that its lattice has now: it may have been written by another route."""
        for lattice in self.lattices_in_use():
            if claim.lattice_id in lattice.identity.ids:
                return replace(claim, lattice_id=lattice.identity.id)
        return claim
