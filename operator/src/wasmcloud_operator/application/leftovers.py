"""What wadm still has of Applications that are gone from this cluster: reported.

Finalizers that were taken away by force leave it, and so does the deletion policy Orphan. Only with the setting
`--orphans=remove` any of it is removed (`orphans`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

import structlog
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from wasmcloud_operator.application.controller import NAME_INDEX, applications
from wasmcloud_operator.application.lattice_events import LatticeEvents
from wasmcloud_operator.application.left_on_purpose import LeftOnPurpose
from wasmcloud_operator.application.orphans import OrphanRemoval
from wasmcloud_operator.application.owners import Owners
from wasmcloud_operator.application.place import lattices_of, place
from wasmcloud_operator.kinds import HOST_CONFIG
from wasmcloud_operator.kube.controller import DONE, Controller, Result
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.queue import Priority
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.kube.store import Change
from wasmcloud_operator.lattice.content import Owner, owner_of
from wasmcloud_operator.lattice.errors import LatticeError, WadmNotFound
from wasmcloud_operator.lattice.lattice import Lattice, LatticeEvent
from wasmcloud_operator.lattice.ledger import AppsListed
from wasmcloud_operator.lattice.wadm_types import ModelSummary
from wasmcloud_operator.names import NAMESPACE_NAME
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.context import Context
from wasmcloud_operator.shared.pools import Pools

# A deletion and what it does in wadm are not seen in one moment.
_SETTLE_SECONDS = 5.0
# One look reads no more owners than this, one after the other, and goes on after a pause: others ask wadm as well.
_READ_AT_ONCE = 100
_PAUSE_SECONDS = 1.0
_RETRY_SECONDS = 30.0
# Of a fleet that is gone at once so many are named; the metric has the number.
_NAMED = 10

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class InLattice:
    """The applications of a lattice."""

    lattice: Lattice

    def __str__(self) -> str:
        return self.lattice.name


@dataclass(slots=True)
class _Reported:
    """What was found out of a lattice's applications."""

    owners: dict[tuple[str, str], Owner | None] = field(default_factory=dict)
    """Owners as manifests name them, by application and version; None where no operator of ours put the manifest."""

    reported: frozenset[tuple[str, Owner]] | None = None
    """What was left at the last look; None before the first."""


@dataclass(slots=True, eq=False)
class Leftovers:
    """Finds applications whose owner was an Application of this cluster that is there no more.

    Nothing is found while either side is not known in full: wadm's list, or the Applications.
    """

    owners: Owners
    applications: Informer[CustomResource]
    pools: Pools
    events: LatticeEvents
    removal: OrphanRemoval | None = None
    _memories: dict[Lattice, _Reported] = field(default_factory=dict)

    def collect(self) -> Iterator[Metric]:
        """Yields the metric, as prometheus_client's registry calls for it; no value for what is not known now."""
        counts: dict[str, int] = {}
        for lattice in self._lattices():
            if self._is_known(lattice):
                counts[lattice.name] = counts.get(lattice.name, 0) + len(self.left(lattice))
        family = GaugeMetricFamily(
            "wasmcloud_operator_left_in_wadm",
            "Applications in wadm whose owner was an Application of this cluster that is gone, by lattice",
            labels=("lattice",),
        )
        for name, count in counts.items():
            family.add_metric([name], count)
        yield family

    async def reconcile(self, key: InLattice) -> Result:
        """Read the owners that are not known yet, then report what has lost its own."""
        if not self.pools.has(key.lattice):
            return DONE
        if not self._is_known(key.lattice):
            self._start_over(key.lattice)
            return Result.waiting(f"wadm's list of lattice {key}, and the list of Applications")
        try:
            if not await self._read_owners(key.lattice):
                return Result.waiting("a pause between reads of owners", _PAUSE_SECONDS)
            await self._report(key.lattice)
            if self.removal is None:
                return DONE
            return await self.removal.step(key.lattice, partial(self.left, key.lattice), self._owned(key.lattice))
        except LatticeError as error:
            log.debug("owners not read", lattice=key.lattice.name, error=str(error))
            return Result.waiting(f"wadm: {error}", _RETRY_SECONDS)

    def forget(self, lattice: Lattice) -> None:
        """The lattice is not in use any more."""
        self._memories.pop(lattice, None)
        self._start_over(lattice)

    def left(self, lattice: Lattice) -> dict[str, Owner]:
        """Returns the former owners by the names of the applications that lost them."""
        if not self._is_known(lattice):
            return {}
        found = {}
        for app in lattice.ledger.listed or ():
            owner = self._owner(lattice, app)
            if owner is None or owner.name != app.name or not _may_have_been(owner):
                continue  # whoever may put manifests may name any owner
            if self._is_gone(owner) and not self._is_claimed(lattice, app.name):
                found[app.name] = owner
        return found

    def _lattices(self) -> set[Lattice]:
        return {pool.lattice for pool in self.pools.all()}

    def _is_known(self, lattice: Lattice) -> bool:
        followed = bool(self.applications.namespaces) and self.applications.synced and not self.applications.problem
        return followed and lattice.ledger.current

    def _owner(self, lattice: Lattice, app: ModelSummary) -> Owner | None:
        """Whose an application is; None where nobody's, or not known."""
        entry = lattice.ledger.entry(app.name)
        if entry is None:
            return None  # removed since that list
        if entry.certain and entry.owner is not None:
            return entry.owner
        return self._memory(lattice).owners.get(_stored(app))

    def _is_gone(self, owner: Owner) -> bool:
        unreadable = Key(owner.namespace, owner.name) in self.applications.store.unreadable
        return not self.owners.alive(owner) and not unreadable

    def _is_claimed(self, lattice: Lattice, name: str) -> bool:
        """Whether an Application of that name has taken it over, or may be about to."""
        if any(key.name == name for key in self.applications.store.unreadable):
            return True
        namespaces = {pool.key.namespace for pool in self.pools.of(lattice)}
        for item in self.applications.store.by_index(NAME_INDEX, name):
            where = place(item)
            if where.is_in(lattice.identity) if where is not None else item.metadata.namespace in namespaces:
                return True
        return False

    def _owned(self, lattice: Lattice) -> int:
        """Returns how many applications of a lattice belong, or belonged, to Applications of this cluster."""
        return sum(
            self._is_claimed(lattice, app.name) or (owner is not None and owner.cluster == self.owners.cluster_id)
            for app in lattice.ledger.listed or ()
            for owner in (self._owner(lattice, app),)
        )

    def _start_over(self, lattice: Lattice) -> None:
        """What was missing for a while has to be missing for a while again."""
        if self.removal is not None:
            self.removal.forget(lattice)

    def _memory(self, lattice: Lattice) -> _Reported:
        return self._memories.setdefault(lattice, _Reported())

    async def _read_owners(self, lattice: Lattice) -> bool:
        """Reads each owner that neither the ledger nor an Application names, once. Returns whether all are read."""
        owners, listed = self._memory(lattice).owners, lattice.ledger.listed or ()
        for former in owners.keys() - {_stored(app) for app in listed}:
            del owners[former]
        unread = [app for app in listed if self._is_unread(lattice, app)]
        for app in unread[:_READ_AT_ONCE]:
            name, version = _stored(app)
            try:
                owners[name, version] = owner_of(await lattice.wadm.get(name, version))
            except WadmNotFound:
                owners[name, version] = None
        return len(unread) <= _READ_AT_ONCE

    def _is_unread(self, lattice: Lattice, app: ModelSummary) -> bool:
        entry = lattice.ledger.entry(app.name)
        if entry is None or (entry.certain and entry.owner is not None):
            return False
        return _stored(app) not in self._memory(lattice).owners and not self._is_claimed(lattice, app.name)

    async def _report(self, lattice: Lattice) -> None:
        """Log what is newly found, with a Warning on a host config of the lattice.

        What the first look finds may have been reported by an earlier life. Raises the errors of `kube.errors`.
        """
        if not self._is_known(lattice):
            return
        memory, left = self._memory(lattice), frozenset(self.left(lattice).items())
        new = sorted(left - (memory.reported or frozenset()), key=lambda found: found[0])
        for name, owner in new[:_NAMED]:
            note = (
                f"wadm has application {name} in lattice {lattice.name}, and the Application {owner.namespace}/"
                f"{owner.name} that it was made from is gone: apply it again, or remove it with wash app delete {name}"
            )
            log.warning("left in wadm", lattice=lattice.name, application=name, owner=f"{owner.namespace}/{owner.name}")
            if memory.reported is not None or not await self.events.stands(lattice, owner, Reason.LEFT_IN_WADM, note):
                self.events.event(lattice, owner, "Warning", Reason.LEFT_IN_WADM, note)
        if len(new) > _NAMED:
            log.warning("more left in wadm", lattice=lattice.name, applications=len(new) - _NAMED)
        memory.reported = left


def leftovers_controller(context: Context, kept: LeftOnPurpose | None) -> Controller[InLattice]:
    """Returns the controller of leftovers, with its metric; with `kept` it removes all others."""
    informer = applications(context)
    events = LatticeEvents(context.informers.made(HOST_CONFIG), context.pools, context.reader, context.recorder)
    removal = None
    if kept is not None:
        gate = context.applications_gate
        removal = OrphanRemoval(context.reader, gate, kept, context.clock, events)
    leftovers = Leftovers(Owners(context.cluster_id, informer), informer, context.pools, events, removal)
    controller = Controller(
        "leftovers",
        leftovers.reconcile,
        clock=context.clock,
        metrics=context.metrics,
        workers=1,
        timeout=context.reconcile_timeout,
        span=context.span,
    )

    def look(lattices: Iterable[Lattice]) -> None:
        for lattice in lattices:
            controller.queue.add_after(InLattice(lattice), _SETTLE_SECONDS, Priority.BACKGROUND)

    def on_event(lattice: Lattice, event: LatticeEvent) -> None:
        if isinstance(event, AppsListed) and (event.changed or event.anew):
            look((lattice,))

    def on_application(change: Change[CustomResource], listed: bool) -> None:
        del listed
        if change.new is None:
            lattices = lattices_of(change.item, context.pools)
            look(lattice for lattice in lattices if lattice.ledger.entry(change.key.name))

    context.pools.lattices.listen(on_event)
    context.pools.listen_to_unused(leftovers.forget)
    informer.on_change(on_application)
    context.metrics.registry.register(leftovers)
    return controller


def _may_have_been(owner: Owner) -> bool:
    """Whether an Application can have had the owner's name and namespace."""
    return bool(NAMESPACE_NAME.fullmatch(owner.namespace) and _NAME.fullmatch(owner.name))


def _stored(app: ModelSummary) -> tuple[str, str]:
    """Name and version of the manifest that names the owner: what runs, else what was stored last."""
    return app.name, app.deployed_version or app.version
