"""Taking an Application out of wadm: when its resource is deleted, or when it moves to another lattice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from prometheus_client import CollectorRegistry, Counter

from wasmcloud_operator.application import naming, status
from wasmcloud_operator.application.lattice_choice import Chosen
from wasmcloud_operator.application.owners import Owners
from wasmcloud_operator.application.places import Places
from wasmcloud_operator.application.wadmside import WadmSide
from wasmcloud_operator.application.writer import ApplicationWriter, own_status
from wasmcloud_operator.kinds import APPLICATION
from wasmcloud_operator.kube.backoff import RateLimiter
from wasmcloud_operator.kube.client import Client
from wasmcloud_operator.kube.clock import Clock
from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.kube.errors import Forbidden, NotFound
from wasmcloud_operator.kube.events import EventRecorder, EventType
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.resources import NAMESPACE, Key
from wasmcloud_operator.lattice.errors import LatticeError, LatticeUnavailable
from wasmcloud_operator.lattice.lattices import Lattice

# A namespace or host config that is going away waits no longer than this for a wadm that does not answer.
GIVE_UP_SECONDS = 60.0

log = structlog.get_logger()


def left_in_wadm(registry: CollectorRegistry) -> Counter:
    """Counts what somebody has to take out of wadm by hand; the log has the names."""
    return Counter(
        "wasmcloud_operator_applications_left_in_wadm",
        "Applications that are gone from the cluster and still in wadm, which could not be asked, by lattice",
        ("lattice",),
        registry=registry,
    )


@dataclass(frozen=True, slots=True)
class Deletion:
    """Ends what an Application has in wadm, then lets it go."""

    places: Places
    writer: ApplicationWriter
    client: Client
    recorder: EventRecorder
    clock: Clock
    owners: Owners
    wake: Callable[[Key], None]
    left: Counter  # as `left_in_wadm` makes it
    retries: RateLimiter[Key] = field(default_factory=lambda: RateLimiter(base=0.2, cap=15.0))
    _since: dict[Key, float] = field(default_factory=dict)

    async def finalize(self, item: CustomResource) -> Result:
        """One step towards the end of an Application that is being deleted."""
        key = item.metadata.key
        if naming.FINALIZER not in item.metadata.finalizers:
            self.forget(key)
            return DONE
        if _is_orphan(item):
            self._event(item, "Normal", "Orphaned", "Left in wadm, as the annotation deletion-policy asks")
            return await self._let_go(item)
        lattice = self._lattice(item)
        try:
            if lattice is None:
                raise LatticeUnavailable("no host config leads to the application's lattice any more")
            state = lattice.connection.state
            if not state.connected:
                raise LatticeUnavailable(state.message)
            view = self.places.view(lattice)
            if not view.enter(key):
                return DONE  # whoever is at work there wakes it
            try:
                removed = await self._side(item, lattice).remove(item.metadata.name, self.owners.alive)
            finally:
                for following in view.leave(key):
                    self.wake(following)
        except LatticeError as error:
            return await self._stuck(item, str(error))
        if removed:
            self._event(item, "Normal", "Deleted", f"Deleted from wadm in lattice {lattice.name}")
        return await self._let_go(item)

    async def leave(self, item: CustomResource, chosen: Lattice) -> None:
        """Take the Application out of the lattice that it was in before, if it has moved. Raises LatticeError."""
        key = item.metadata.key
        before = self.places.last(item)
        if before is None or before is chosen or naming.FINALIZER not in item.metadata.finalizers:
            return
        if _is_orphan(item):
            self._event(item, "Normal", "Orphaned", f"Left in lattice {before.name}, as the annotation asks")
        elif before.connection.state.connected:
            await self._side(item, before).remove(key.name, self.owners.alive)
            self._event(item, "Normal", "Moved", f"Deleted from lattice {before.name}; it moves to {chosen.name}")
        else:
            note = f"Lattice {before.name} is out of reach: what runs there has to be deleted with `wash app delete`"
            self._event(item, "Warning", "LeftBehind", note)

    def forget(self, key: Key) -> None:
        """The Application is gone, or nothing of it is in wadm."""
        self.places.release(key)
        self.retries.forget(key)
        self._since.pop(key, None)

    async def _let_go(self, item: CustomResource) -> Result:
        await self.writer.remove_finalizer(item)
        self.forget(item.metadata.key)
        return DONE

    async def _stuck(self, item: CustomResource, why: str) -> Result:
        key = item.metadata.key
        waited = self.clock.monotonic() - self._since.setdefault(key, self.clock.monotonic())
        what = await self._ending(item)
        if what and waited >= GIVE_UP_SECONDS:
            note = f"wadm cannot be asked ({why}) and {what} is going away: the application is left in wadm"
            result = await self._let_go(item)
            self._tell_left(item, note)
            return result
        message = f"cannot be deleted from wadm yet: {why}; trying again"
        if not what:
            message += f" (to give up: kubectl annotate {naming.DELETION_POLICY}={naming.ORPHAN})"
        if await self.writer.show(item, status.out_of_reach("DeletionBlocked", message)):
            self._event(item, "Warning", "DeletionBlocked", message)
        delay = self.retries.when(key)
        return Result(min(delay, max(GIVE_UP_SECONDS - waited, 0.1)) if what else delay)

    async def _ending(self, item: CustomResource) -> str:
        """What takes the way to wadm with it: the namespace or the host config; empty if both stay."""
        namespace = item.metadata.namespace
        try:
            if (await self.client.get(NAMESPACE, Key("", namespace))).metadata.deleting:
                return f"namespace {namespace}"
        except (Forbidden, NotFound):
            pass  # not ours to read: the host config has to tell
        before = item.status if isinstance(item.status, dict) else {}
        name = before.get("hostConfig") or item.metadata.annotations.get(naming.HOST_CONFIG)
        if name:
            config = self.places.config(Key(namespace, str(name)))
            return "" if config is not None and not config.metadata.deleting else f"host config {name}"
        return "" if self.places.has_configs(namespace) else "the last host config"

    def _lattice(self, item: CustomResource) -> Lattice | None:
        last = self.places.last(item)
        if last is not None:
            return last
        choice = self.places.choose(item)
        return choice.lattice if isinstance(choice, Chosen) else None

    def _side(self, item: CustomResource, lattice: Lattice) -> WadmSide:
        return WadmSide(lattice, self.places.view(lattice), self.owners.of(item), self.clock)

    def _tell_left(self, item: CustomResource, note: str) -> None:
        """By log and metric too: a namespace that is going away takes no Events."""
        lattice = str(own_status(item.status).get("lattice", ""))
        self._event(item, "Warning", "LeftInWadm", note)
        log.error("application left in wadm", application=str(item.metadata.key), lattice=lattice, why=note)
        self.left.labels(lattice).inc()

    def _event(self, item: CustomResource, type_: EventType, reason: str, note: str) -> None:
        self.recorder.event(APPLICATION, item.metadata, type_, reason, note, action="Delete")


def _is_orphan(item: CustomResource) -> bool:
    return item.metadata.annotations.get(naming.DELETION_POLICY) == naming.ORPHAN
