"""Removes an Application from wadm: when the resource is deleted, and after it moved to another lattice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial

import structlog
from prometheus_client import CollectorRegistry, Counter

from wasmcloud_operator.application import naming, status
from wasmcloud_operator.application.lattice_choice import Chosen, NotChosen
from wasmcloud_operator.application.lattice_selector import LatticeSelector
from wasmcloud_operator.application.left_on_purpose import LeftOnPurpose
from wasmcloud_operator.application.owners import Owners
from wasmcloud_operator.application.place import Place
from wasmcloud_operator.application.writer import ApplicationWriter, own_status
from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.base.jsontypes import as_object
from wasmcloud_operator.kinds import APPLICATION
from wasmcloud_operator.kube.backoff import RateLimiter
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.conditions import shortened
from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.kube.errors import Forbidden, NotFound
from wasmcloud_operator.kube.events import EventRecorder, EventType
from wasmcloud_operator.kube.objects import CustomResource, Unstructured
from wasmcloud_operator.kube.resources import NAMESPACE, Key
from wasmcloud_operator.kube.store import Store
from wasmcloud_operator.lattice.errors import LatticeError, LatticeUnavailable
from wasmcloud_operator.lattice.lattice import Lattice
from wasmcloud_operator.lattice.ledger_writer import LedgerWriter
from wasmcloud_operator.names import is_orphan
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.applications_gate import ApplicationsGate
from wasmcloud_operator.shared.context import OWNER_INDEX

# A namespace or host config that is going away waits no longer than this for a wadm that does not answer.
GIVE_UP_SECONDS = 60.0

# A connection that is made for the first time, a name that is in hand: soon over.
_SOON_SECONDS = 1.0
# An orphan's Services are given to others within this, or go with it: whoever exposes applications may not be running.
_KEPT_SERVICES_SECONDS = 30.0
# After a start host configs are still being read.
_START_SECONDS = 5.0

log = structlog.get_logger()


class _NotYet(Exception):
    """Nothing is wrong: what is awaited comes by itself."""


def left_in_wadm(registry: CollectorRegistry) -> Counter:
    """Counts what somebody has to take out of wadm by hand; the log has the names."""
    return Counter(
        "wasmcloud_operator_applications_left_in_wadm",
        "Applications that are gone from the cluster and still in wadm, which could not be asked, by lattice",
        ("lattice",),
        registry=registry,
    )


@dataclass(slots=True, kw_only=True)
class Deletion:
    """Ends what an Application has in wadm, then lets it go."""

    selector: LatticeSelector
    writer: ApplicationWriter
    client: Reader
    recorder: EventRecorder
    clock: Clock
    owners: Owners
    wake: Callable[[Key], None]
    gate: ApplicationsGate
    left: Counter  # as `left_in_wadm` makes it
    services: Store[Unstructured]
    on_purpose: LeftOnPurpose
    retries: RateLimiter[Key] = field(default_factory=lambda: RateLimiter(base=0.2, cap=15.0))
    _since: dict[Key, float] = field(default_factory=dict)
    # Since when the way to wadm is going away.
    _ending_since: dict[Key, float] = field(default_factory=dict)
    _orphan_since: dict[Key, float] = field(default_factory=dict)

    async def finalize(self, item: CustomResource) -> Result:
        """One step towards the end of an Application that is being deleted."""
        key = item.metadata.key
        if naming.FINALIZER not in item.metadata.finalizers:
            self.forget(key)
            return DONE
        if is_orphan(item.metadata.annotations):
            return await self._leave_behind(item)
        self._since.setdefault(key, self.clock.monotonic())
        try:
            removed = [lattice async for lattice in self._lattices(item) if await self._remove(item, lattice)]
        except _NotYet as soon:
            return Result.waiting(str(soon), _SOON_SECONDS)
        except LatticeError as error:
            return await self._stuck(item, str(error))
        if removed:
            names = ", ".join(lattice.name for lattice in removed)
            self._event(item, "Normal", Reason.DELETED, f"Deleted from wadm in lattice {names}")
        return await self._let_go(item)

    async def _leave_behind(self, item: CustomResource) -> Result:
        """Let an orphan's Application go once no Service is its own any more: the garbage collector would delete it."""
        now = self.clock.monotonic()
        left = self._orphan_since.setdefault(item.metadata.key, now) + _KEPT_SERVICES_SECONDS - now
        if left > 0 and self.services.by_index(OWNER_INDEX, item.metadata.uid):
            return Result.waiting("other owners for its Services", left)  # their change brings the key back before
        await self.on_purpose.add(item, self.selector.leaving(item, None))
        result = await self._let_go(item)
        self._event(item, "Normal", Reason.ORPHANED, "Left in wadm, as the annotation deletion-policy asks")
        return result

    async def depart(self, item: CustomResource, leaving: Iterable[Place]) -> list[Place]:
        """Remove the Application from its former lattices. Returns those where that is still to be done, and why."""
        left = []
        for place in leaving:
            lattice = self.selector.departing(item, place)
            try:
                if is_orphan(item.metadata.annotations):
                    await self.on_purpose.add(item, (place,))
                    self._event(
                        item,
                        "Normal",
                        Reason.ORPHANED,
                        f"Left in lattice {place.lattice}, as the annotation deletion-policy asks",
                    )
                elif lattice is None:
                    raise LatticeUnavailable("no host config leads there any more")
                else:
                    await self._remove(item, lattice)
                    self._event(
                        item, "Normal", Reason.MOVED, f"Deleted from lattice {place.lattice}, which it has left"
                    )
            except _NotYet:
                left.append(place)
                continue
            except LatticeError as error:
                left.append(replace(place, problem=shortened(str(error))))
                continue
            self.selector.departed(item, place)
        return left

    def ledger_writer(self, item: CustomResource, lattice: Lattice) -> LedgerWriter:
        """Changes in a lattice what is the Application's."""
        return LedgerWriter(
            ledger=lattice.ledger,
            wadm=lattice.wadm_writer,
            channel=lattice.connection,
            me=self.owners.of(item),
            alive=self.owners.alive,
            clock=self.clock,
        )

    def forget(self, key: Key) -> None:
        """The Application is gone, or nothing of it is in wadm."""
        self.selector.release(key)
        self.retries.forget(key)
        self._since.pop(key, None)
        self._ending_since.pop(key, None)
        self._orphan_since.pop(key, None)

    async def leaving(self, item: CustomResource, chosen: Lattice) -> list[Place]:
        """The lattices that an Application has to be taken out of, as it is to be in `chosen`.

        Raises the errors of `WadmReader`.
        """
        leaving = self.selector.leaving(item, chosen)
        lost = self.selector.out_of_sight(item, chosen) if leaving else None
        return [one for one in leaving if one != lost] if lost and await self.is_in(item, chosen) else leaving

    async def is_in(self, item: CustomResource, lattice: Lattice) -> bool:
        """Whether wadm has the very Application in a lattice.

        Before it is put anywhere that is written down: where it is already is one of its places, whatever the address
        of NATS was then.
        """
        stored = await self.ledger_writer(item, lattice).look(item.metadata.name)
        return stored is not None and stored.owner is not None and stored.owner.uid == item.metadata.uid

    async def _recognised(self, item: CustomResource, place: Place) -> Lattice | None:
        """The lattice of a place to which no route leads, or none that was ever up.

        It is one of that name that can be asked, and has the Application.
        """
        for lattice in self.selector.of_name(item.metadata.namespace, place.lattice):
            if lattice.connection.state.connecting:
                raise _NotYet(f"the connection to lattice {lattice.name}")
            connected = lattice.connection.state.connected
            if connected and self.selector.out_of_sight(item, lattice) == place and await self.is_in(item, lattice):
                self.selector.depart_from(item, place, lattice)
                return lattice
        return None

    async def _lattices(self, item: CustomResource) -> AsyncIterator[Lattice]:
        """Every lattice that may have something of the Application. Raises if one of them is out of reach."""
        places = self.selector.leaving(item, None)
        for place in places:
            lattice = self.selector.departing(item, place)
            if lattice is None or not lattice.identified:
                lattice = await self._recognised(item, place) or lattice
            if lattice is None:
                self._wait_for_pools(item)
                raise LatticeUnavailable(f"no host config leads to lattice {place.lattice} any more")
            yield lattice
        if not places:
            choice = self.selector.choose(item)
            if isinstance(choice, Chosen):
                yield choice.lattice
            else:
                self._wait_for_pools(item)
                raise LatticeUnavailable("no host config leads to the application's lattice any more")

    def _wait_for_pools(self, item: CustomResource) -> None:
        choice = self.selector.choose(item)
        waited = self.clock.monotonic() - self._since[item.metadata.key]
        if isinstance(choice, NotChosen) and choice.soon and waited < _START_SECONDS:
            raise _NotYet(f"host configs, which are still being read: {choice.message}")

    async def _remove(self, item: CustomResource, lattice: Lattice) -> bool:
        """Remove it from a lattice's wadm; whether it was there and ours."""
        state, key = lattice.connection.state, item.metadata.key
        if not state.connected:
            if state.connecting:
                raise _NotYet(f"the connection to lattice {lattice.name}")
            raise LatticeUnavailable(state.message)
        if not lattice.ledger.acquire(key.name, waiter=key, wake=partial(self.wake, key)):
            raise _NotYet(f"another change of the same name in lattice {lattice.name} to end")
        try:
            if not self.gate.ours:
                raise _NotYet(f"the CRD {APPLICATION}, which may be another project's by now")
            return await self.ledger_writer(item, lattice).remove(key.name)
        finally:
            lattice.ledger.release(key.name)

    async def _let_go(self, item: CustomResource) -> Result:
        await self.writer.remove_finalizer(item)
        self.forget(item.metadata.key)
        return DONE

    async def _stuck(self, item: CustomResource, why: str) -> Result:
        key, now, what = item.metadata.key, self.clock.monotonic(), await self._ending(item)
        if not what:  # or a host config that is replaced would take along what waited for long
            self._ending_since.pop(key, None)
        waited = now - self._ending_since.setdefault(key, now) if what else 0.0
        if what and waited >= GIVE_UP_SECONDS:
            note = f"wadm cannot be asked ({why}) and {what} is going away: the application is left in wadm"
            result = await self._let_go(item)
            self._record_left(item, note)
            return result
        message = f"cannot be deleted from wadm yet: {why}; trying again"
        if not what:
            message += f" (to give up: kubectl annotate {naming.DELETION_POLICY}={naming.ORPHAN})"
        if await self.writer.show(item, status.out_of_reach(Reason.DELETION_BLOCKED, message)):
            self._event(item, "Warning", Reason.DELETION_BLOCKED, message)
        delay = self.retries.when(key)
        again = min(delay, max(GIVE_UP_SECONDS - waited, 0.1)) if what else delay
        return Result.waiting(f"wadm: {why}", again)

    async def _ending(self, item: CustomResource) -> str:
        """What takes the way to wadm with it: the namespace or the last host config that leads there; else empty."""
        namespace = item.metadata.namespace
        try:
            if (await self.client.get(NAMESPACE, Key("", namespace))).metadata.deleting:
                return f"namespace {namespace}"
        except (Forbidden, NotFound):
            pass  # not ours to read: the host config has to show it
        before = as_object(item.status)
        name = str(before.get("hostConfig") or item.metadata.annotations.get(naming.HOST_CONFIG, ""))
        config = self.selector.config(Key(namespace, name))
        if config is not None and not config.metadata.deleting:
            return ""
        lattices = {place.lattice for place in self.selector.leaving(item, None)} if name else None
        if self.selector.has_configs(namespace, lattices):
            return ""
        return f"host config {name}" if name else "the last host config"

    def _record_left(self, item: CustomResource, note: str) -> None:
        """By log and metric too: a namespace that is going away takes no Events."""
        lattice = str(own_status(item.status).get("lattice", ""))
        self._event(item, "Warning", Reason.LEFT_IN_WADM, note)
        log.error("application left in wadm", application=str(item.metadata.key), lattice=lattice, why=note)
        self.left.labels(lattice).inc()

    def report_leaving(self, item: CustomResource, before: Iterable[Place], left: Iterable[Place]) -> None:
        """Records an Event for each new problem of leaving a lattice, once the status shows it."""
        known = {place for place in before if place.problem}
        for place in left:
            if place.problem and place not in known:
                note = f"Lattice {place.lattice} still has it and cannot be reached: {place.problem}; trying again"
                name = str(item.metadata.key)
                log.warning("application not taken out of the lattice that it left", application=name, why=note)
                self._event(item, "Warning", Reason.LEFT_BEHIND, note)

    def _event(self, item: CustomResource, type_: EventType, reason: Reason, note: str) -> None:
        self.recorder.event(APPLICATION, item.metadata, type_, reason, note, action="Delete")
