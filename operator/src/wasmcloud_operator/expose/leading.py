"""Which Services lead to what a host runs: found once for all pods of a lattice in a namespace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wasmcloud_operator.expose.lattice_books import CachedServices, LatticeBook
from wasmcloud_operator.expose.placement import ProviderId
from wasmcloud_operator.expose.plan import PlannedService
from wasmcloud_operator.expose.queries import ServiceQueries, Surroundings
from wasmcloud_operator.lattice.lattice import Lattice


@dataclass(slots=True)
class LeadingServices:
    """The Services by provider, as far as they are there and lead to that application; as of now, not to be kept."""

    _queries: ServiceQueries
    _namespace: str
    _book: LatticeBook
    _around: Surroundings
    _found: dict[ProviderId, tuple[PlannedService, ...]]

    @classmethod
    def now(cls, queries: ServiceQueries, namespace: str, lattice: Lattice) -> LeadingServices:
        """What was found stays in the lattice's book, and is found anew once anything that decides about it is other.

        It is compared, not reported: a change that nobody reports cannot leave an outdated Service there.
        """
        book, around = queries.book(lattice), queries.surroundings(namespace, lattice)
        applications = queries.applications
        inputs = (
            around,
            queries.services.store.revision,
            (applications.store.revision, applications.synced, applications.namespaces)
            if applications is not None
            else None,
            *((one.identity, one.ledger.listed, queries.book(one).revision) for one in around.lattices),
        )
        cached = book.leading.get(namespace)
        if cached is None or cached.inputs != inputs:
            cached = book.leading[namespace] = CachedServices(inputs)
        return cls(queries, namespace, book, around, cached.by_provider)

    def to(self, provider: ProviderId) -> tuple[PlannedService, ...]:
        """Returns the Services of a provider."""
        found = self._found.get(provider)
        if found is None:
            found = self._found[provider] = tuple(self._of(provider))
        return found

    def _of(self, provider: ProviderId) -> Iterator[PlannedService]:
        queries, namespace, lattice = self._queries, self._namespace, self._book.lattice
        for application in self._book.by_provider.get(provider, ()):
            record = self._book.records[application]
            claim = queries.claim(lattice, record)
            for planned in queries.plan(namespace, lattice, record, self._around).services:
                serves = (planned.provider.application, planned.provider.id) == provider
                if serves and queries.leads_to(namespace, planned.name, claim):
                    yield planned
