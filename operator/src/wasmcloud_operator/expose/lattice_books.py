"""What is known of the applications of all lattices in use, as far as Services need it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from wasmcloud_operator.expose.placement import ProviderId, runs
from wasmcloud_operator.expose.plan import Plan, PlannedService, Record
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.host_types import Host
from wasmcloud_operator.lattice.lattice import Lattice
from wasmcloud_operator.lattice.wadm_types import LISTED_LIMIT

# Whoever may publish in a lattice makes up names; of what wadm does not list as deployed none need be kept.
_ABSENT_LIMIT = 2 * LISTED_LIMIT

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class CachedPlan:
    """A plan, and what beside the record it was made from."""

    inputs: object
    plan: Plan


@dataclass(slots=True)
class CachedServices:
    """The Services that lead to a provider, of those asked for, and what all of them were found by."""

    inputs: object
    by_provider: dict[ProviderId, tuple[PlannedService, ...]] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class LatticeBook:
    """What was read of one lattice's applications, deployed or not.

    `by_provider` finds the applications that a provider serves, `by_port` the providers that want a port, `plans` what
    was made of a record, by namespace; invariant: all three are of what `records` holds. `leading` are the Services by
    namespace. `revision` is another one after each change.
    """

    lattice: Lattice
    records: dict[str, Record] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
    by_provider: dict[ProviderId, set[str]] = field(default_factory=dict)
    by_port: dict[int, set[ProviderId]] = field(default_factory=dict)
    plans: dict[str, dict[str, CachedPlan]] = field(default_factory=dict)
    leading: dict[str, CachedServices] = field(default_factory=dict)
    revision: object = field(default_factory=object)
    owned: dict[Key, dict[Lattice, None]] = field(default_factory=dict)
    """The lattices that have what was made from an Application; one for all books."""

    def put(self, application: str, record: Record | None) -> None:
        """Take in what was read (None: it is not deployed)."""
        self.revision = object()
        before = self.records.pop(application, None)
        self.plans.pop(application, None)
        self._own(before, record)
        for provider in before.exposure.providers if before is not None else ():
            provider_id = (provider.application, provider.id)
            _discard(self.by_provider, provider_id, application)
            for endpoint in provider.endpoints:
                _discard(self.by_port, endpoint.port, provider_id)
        if record is None:
            if len(self.absent) >= _ABSENT_LIMIT:
                self.absent &= self.lattice.ledger.deployed_versions.keys()
            self.absent.add(application)
            return
        self.absent.discard(application)
        self.records[application] = record
        for provider in record.exposure.providers:
            provider_id = (provider.application, provider.id)
            self.by_provider.setdefault(provider_id, set()).add(application)
            for endpoint in provider.endpoints:
                self.by_port.setdefault(endpoint.port, set()).add(provider_id)

    def clear(self) -> None:
        """Forget all of it."""
        for application in tuple(self.records):
            self.put(application, None)

    def _own(self, before: Record | None, now: Record | None) -> None:
        if before is not None and before.owner in self.owned:
            self.owned[before.owner].pop(self.lattice, None)
            if not self.owned[before.owner]:
                del self.owned[before.owner]
        if now is not None and now.owner is not None and now.owner.name == now.application:
            self.owned.setdefault(now.owner, {})[self.lattice] = None

    @property
    def complete(self) -> bool:
        """Whether every application that wadm lists as deployed was read."""
        apps = self.lattice.ledger
        return apps.listed is not None and all(
            name in self.records or name in self.absent for name in apps.deployed_versions
        )

    @property
    def read(self) -> Collection[str]:
        """The applications of which it was read whether they are deployed: wadm's list shows nothing new of them."""
        return self.records.keys() | self.absent

    def may_have(self, application: str) -> bool:
        """Whether one of that name was read, or is one of those of which wadm was heard; any other may be made up."""
        return application in self.records or self.lattice.ledger.entry(application) is not None

    def knows(self, application: str) -> bool:
        """Whether it is known if the application is deployed, and as what."""
        if application in self.records or application in self.absent:
            return True
        apps = self.lattice.ledger
        return apps.listed is not None and application not in apps.deployed_versions

    def sure_of(self, application: str) -> bool:
        """Whether the application is known, and everything that its manifest refers to."""
        record = self.records.get(application)
        return self.knows(application) if record is None else record.certain

    def outdated(self) -> set[str]:
        """The applications for which wadm's list differs from what was read."""
        listed = self.lattice.ledger.deployed_versions
        known = {name: record.version for name, record in self.records.items()}
        return {name for name in listed.keys() | known.keys() if listed.get(name) != known.get(name)}

    def using(self, configs: Iterable[str]) -> set[str]:
        """The applications whose manifests refer to one of these configurations."""
        wanted = frozenset(configs)
        return {name for name, record in self.records.items() if record.configs & wanted}

    def rivals(self, provider: ProviderId, port: int) -> dict[ProviderId, int]:
        """The other providers that want a port, and on how many hosts each runs beside this one."""
        others = self.by_port.get(port, set()) - {provider}
        beside: dict[ProviderId, int] = {}
        for host in self.lattice.hosts.hosts.values() if others else ():
            if runs(host, provider):
                for other in others:
                    if runs(host, other):
                        beside[other] = beside.get(other, 0) + 1
        return beside

    def contending(self, application: str, hosts: Iterable[Host]) -> set[str]:
        """The applications with providers on these hosts that want the same ports: each shows the conflict."""
        record = self.records.get(application)
        wanted: set[ProviderId] = set()
        for provider in record.exposure.providers if record is not None else ():
            for endpoint in provider.endpoints:
                wanted |= self.by_port.get(endpoint.port, set()) - {(provider.application, provider.id)}
        found: set[str] = set()
        for host in hosts if wanted else ():
            for rival in wanted:
                if runs(host, rival):
                    found |= self.by_provider.get(rival, set())
        return found

    def serves(self, host: Host, application: str) -> bool:
        """Whether a host runs a provider of an application."""
        record = self.records.get(application)
        return record is not None and any(runs(host, (one.application, one.id)) for one in record.exposure.providers)

    def where(self, application: str) -> Iterator[Host]:
        """The hosts that run a provider of its."""
        return (host for host in self.lattice.hosts.hosts.values() if self.serves(host, application))

    def sharing(self, application: str) -> set[str]:
        """The applications whose manifests refer to a shared one."""
        return {name for name, record in self.records.items() if application in record.shared}


class LatticeBooks:
    """The books of the lattices in use, which `in_use` knows."""

    def __init__(self, in_use: Callable[[Lattice], bool]) -> None:
        self._in_use = in_use
        self._books: dict[Lattice, LatticeBook] = {}
        self._owned: dict[Key, dict[Lattice, None]] = {}

    def __repr__(self) -> str:
        return (
            f"<LatticeBooks {', '.join(f'{book.lattice.name}: {len(book.records)}' for book in self._books.values())}>"
        )

    def book(self, lattice: Lattice) -> LatticeBook:
        """Returns the book of a lattice; an empty book, not kept, for a lattice that is not in use."""
        if lattice in self._books:
            return self._books[lattice]
        if not self._in_use(lattice):
            return LatticeBook(lattice=lattice)
        return self._books.setdefault(lattice, LatticeBook(lattice=lattice, owned=self._owned))

    def forget(self, lattice: Lattice) -> None:
        """The lattice is not in use any more."""
        if lattice in self._books:
            self._books.pop(lattice).clear()

    def lattices_of(self, owner: Key) -> Iterable[Lattice]:
        """The lattices that have what was made from an Application."""
        return self._owned.get(owner, {})


def _discard(index: dict[K, set[V]], key: K, value: V) -> None:
    held = index.get(key)
    if held is not None:
        held.discard(value)
        if not held:
            del index[key]
