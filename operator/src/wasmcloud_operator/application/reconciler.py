"""The reconciler of Applications: from a resource to what wadm runs, and to the resource's status."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec.structs import replace

from wasmcloud_operator.application import naming, plan, status
from wasmcloud_operator.application.deletion import Deletion
from wasmcloud_operator.application.examine import Examiner
from wasmcloud_operator.application.lattice_choice import Chosen, NotChosen
from wasmcloud_operator.application.manifest import Content, Owner
from wasmcloud_operator.application.owners import Owners
from wasmcloud_operator.application.places import Places
from wasmcloud_operator.application.plan import Run, Stored
from wasmcloud_operator.application.status import Verdict
from wasmcloud_operator.application.view import Record, View
from wasmcloud_operator.application.wadmside import WadmSide
from wasmcloud_operator.application.writer import ApplicationWriter, own_status
from wasmcloud_operator.kinds import APPLICATION
from wasmcloud_operator.kube.backoff import RateLimiter
from wasmcloud_operator.kube.clock import Clock
from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.kube.events import EventRecorder, EventType
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.errors import LatticeError, PayloadTooLarge, WadmRejected
from wasmcloud_operator.lattice.lattices import Lattice
from wasmcloud_operator.names import is_paused

# After a deploy wadm says nothing when the status stays what it was: then it is asked.
SETTLE_SECONDS = 5.0
# Nearly always a push comes within this after a deploy: one status is written instead of two.
_PUSH_SECONDS = 2.0
# What wadm refuses is tried again now and then: only the lattice knows why.
_REFUSED_SECONDS = 60.0
# After a start host configs are still being read: what an earlier life wrote stands until then.
_START_SECONDS = 5.0

_NUMBER = re.compile(r"[0-9]{1,9}")


class _Ended(Exception):
    """The way ends here, with this verdict."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.message)
        self.verdict = verdict


@dataclass(slots=True)
class ApplicationReconciler:
    """Brings one Application to what it says. Every outcome is in its status; failures of a lattice stay in it."""

    applications: Informer[CustomResource]
    places: Places
    writer: ApplicationWriter
    deletion: Deletion
    recorder: EventRecorder
    clock: Clock
    owners: Owners
    wake: Callable[[Key], None]
    examiner: Examiner = field(default_factory=Examiner)
    retries: RateLimiter[Key] = field(default_factory=lambda: RateLimiter(base=0.2, cap=30.0))
    _started: float | None = None

    async def reconcile(self, key: Key) -> Result:
        """Bring the Application of that key one step on. Raises the errors of `kube.errors`."""
        if self._started is None:
            self._started = self.clock.monotonic()
        item = self.applications.store.get(key)
        if item is None:
            self._forget(key)
            return DONE
        if item.metadata.deleting:
            return await self.deletion.finalize(item)
        if is_paused(item.metadata.annotations):
            await self.writer.show_paused(item)
            return DONE
        return await self._run(item)

    async def report(self, key: Key, error: Exception) -> None:
        """Show a failure that is no fault of the Application in its status."""
        item = self.applications.store.get(key)
        if item is not None and not item.metadata.deleting:
            await self.writer.show(item, status.failing(f"{type(error).__name__}: {error}; trying again"))

    async def _run(self, item: CustomResource) -> Result:
        examined = self.examiner.examine(item)
        if examined.problems:
            await self._show_stalled(item, status.invalid(examined.problems))
            return DONE
        choice = self.places.choose(item)
        if isinstance(choice, NotChosen):
            return await self._wait_for_lattice(item, choice)
        return await self._at(item, examined.content, choice)

    async def _at(self, item: CustomResource, content: Content, choice: Chosen) -> Result:
        """Go on in the lattice, unless it is out of reach or has enough to do."""
        lattice = choice.lattice
        state = lattice.connection.state
        if not state.connected:
            if state.reason != "Connecting":
                await self.writer.show(item, status.out_of_reach(state.reason, state.message))
            return DONE  # its news brings the key back
        view = self.places.view(lattice)
        if not (view.listed or view.list_failed):
            return DONE  # so does the list
        if not view.enter(item.metadata.key):
            return DONE  # and so does whoever is at work there
        try:
            result = await self._in_lattice(item, content, choice, view)
        except LatticeError as error:
            return await self._unavailable(item, error)
        finally:
            for following in view.leave(item.metadata.key):
                self.wake(following)
        self.retries.forget(item.metadata.key)
        return result

    async def _in_lattice(self, item: CustomResource, content: Content, choice: Chosen, view: View) -> Result:
        side = WadmSide(choice.lattice, view, self.owners.of(item), self.clock)
        await self.deletion.leave(item, choice.lattice)
        if naming.FINALIZER in item.metadata.finalizers:
            self.places.hold(item.metadata.key, choice.lattice)
        again: float | None = None
        record = view.records.get(content.name)
        try:
            if item.metadata.annotations.get(naming.UNDEPLOY) == "true":
                record = await self._undeployed(side, record, content.name)
                verdict = status.undeployed()
            else:
                record = await self._deployed(item, content, side, record)
                again = await self._confirmed(side, record, content.name)
                if again is not None and again > SETTLE_SECONDS - _PUSH_SECONDS:
                    return Result(_PUSH_SECONDS)
                verdict = status.running(record)
        except _Ended as ended:
            view.refused.add(item.metadata.key)
            await self._show_stalled(item, ended.verdict, _place(choice))
            return Result(_REFUSED_SECONDS) if ended.verdict.reason != "Conflict" else DONE
        view.refused.discard(item.metadata.key)
        told = {**_place(choice), **_remembered_versions(item, record), **(status.fields(record) if record else {})}
        await self._show(item, verdict, told)
        return Result(again)

    async def _deployed(self, item: CustomResource, content: Content, side: WadmSide, record: Record | None) -> Record:
        """wadm's record of the content, once it is stored and deployed. Raises _Ended when it cannot be."""
        before = own_status(item.status)
        if record is not None and before.get("lattice") == side.lattice.name:
            version, digest = before.get("deployedVersion"), before.get("contentDigest")
            plan.remembered(record, content, side.me, version=version, digest=digest)
        if record is not None and plan.settled(record, content, side.me):
            return record
        if record is not None and record.certain and record.owner not in (None, side.me):
            self._check_owner(record.owner, side)
        absent = record is None and side.view.listed  # by the list and the pushes since; a first put is read back
        stored = None if absent else await side.look(content.name, content.declared_version)
        decided = plan.decide(content, stored, side.me, self.owners.alive)
        if isinstance(decided, plan.Conflict):
            raise self._conflict(decided.owner, side, stored)
        item = await self.writer.add_finalizer(item)
        self.places.hold(item.metadata.key, side.lattice)
        self._tell_takeover(item, decided, side.lattice)
        if decided.put:
            stored = await self._put(item, content, side, decided, stored)
        if stored is None:
            raise _Ended(status.rejected("Put", "the application is not there"))
        if not decided.deploy and content.name not in side.view.untold:
            return side.keep(content, decided.version, stored)
        try:
            return await side.deploy(content, decided.version, stored)
        except WadmRejected as error:
            raise _Ended(status.rejected("Deploy", error.message)) from error

    async def _put(
        self, item: CustomResource, content: Content, side: WadmSide, run: Run, stored: Stored | None
    ) -> Stored:
        try:
            after = await side.put(content, run, stored, _history_limit(item))
        except WadmRejected as error:
            raise _Ended(status.rejected("Put", error.message)) from error
        except PayloadTooLarge as error:
            raise _Ended(status.rejected("Put", f"the manifest is too large: {error}")) from error
        if after.owner is not None and after.owner != side.me:
            raise self._conflict(after.owner, side, after)
        if run.renamed:
            note = (
                f"Version {content.declared_version} has other content already: deployed as {run.version}. "
                "Change the annotation version with the content"
            )
            self._event(item, "Warning", "VersionReused", note)
        return after

    async def _undeployed(self, side: WadmSide, record: Record | None, name: str) -> Record | None:
        """The record of an application of which nothing is deployed. Raises _Ended when that is not ours to say."""
        known = side.view.listed if record is None else record.certain and not record.deployed
        if known:
            return record
        stored = await side.look(name)
        if stored is None:
            side.view.records.pop(name, None)
            return None
        if stored.owner not in (None, side.me) and self.owners.alive(stored.owner):
            raise self._conflict(stored.owner, side, stored)
        await side.undeploy(name, stored)
        return side.view.records[name]

    async def _confirmed(self, side: WadmSide, record: Record, name: str) -> float | None:
        """Have the status of the deployed version; gives the seconds until it has to be asked for, None if known."""
        if record.deployed_at is not None:
            left = record.deployed_at + SETTLE_SECONDS - self.clock.monotonic()
            if left > 0:
                return left
            await side.poll(record, name)
        elif record.status is None:
            await side.poll(record, name)
        return None

    def _check_owner(self, owner: Owner, side: WadmSide) -> None:
        if self.owners.alive(owner):
            raise self._conflict(owner, side, None)

    def _conflict(self, owner: Owner, side: WadmSide, stored: Stored | None) -> _Ended:
        """The end of the way when the name belongs to somebody else; what was read of it is kept."""
        record = side.view.records.get(side.me.name)
        if stored is not None:
            if record is None or record.deployed != stored.deployed:
                record = side.view.records[side.me.name] = Record(stored.deployed, stored.versions[-1])
            record.versions, record.owner = stored.versions, owner
            record.suspect = record.outdated = False
        return _Ended(status.conflict(owner, side.lattice.name))

    async def _wait_for_lattice(self, item: CustomResource, why: NotChosen) -> Result:
        started = self.clock.monotonic() if self._started is None else self._started
        left = started + _START_SECONDS - self.clock.monotonic()
        if why.soon and left > 0:
            return Result(left)
        if why.stalled:
            await self._show_stalled(item, status.no_lattice(why))
        else:
            await self.writer.show(item, status.no_lattice(why))
        return DONE

    async def _unavailable(self, item: CustomResource, error: LatticeError) -> Result:
        item = self._latest(item)
        reason = type(error).__name__
        await self.writer.show(item, status.out_of_reach(reason, f"{error}; trying again"))
        return Result(self.retries.when(item.metadata.key))

    async def _show(self, item: CustomResource, verdict: Verdict, told: dict[str, object]) -> None:
        item = self._latest(item)
        before = own_status(item.status)
        if not await self.writer.show(item, verdict, told):
            return
        if told.get("deployedVersion") not in (None, before.get("deployedVersion")):
            note = f"Deployed version {told['deployedVersion']} to lattice {told['lattice']}"
            self._event(item, "Normal", "Deployed", note)
        if verdict.stalled and verdict.message != before.get("message"):
            self._event(item, "Warning", verdict.reason, verdict.message)

    async def _show_stalled(
        self, item: CustomResource, verdict: Verdict, told: dict[str, object] | None = None
    ) -> None:
        """Show what only a user can mend, with what was found out before."""
        item = self._latest(item)
        kept = {**own_status(item.status), **(told or {})}
        await self._show(item, verdict, {name: kept[name] for name in status.FOUND_OUT if name in kept})

    def _latest(self, item: CustomResource) -> CustomResource:
        """The item as the cache has it now, under the generation that was looked at.

        It may have changed while wadm was at work: the old content's outcome must not pass for that of the new one.
        """
        now = self.applications.store.get(item.metadata.key)
        if now is None or now.metadata.uid != item.metadata.uid:
            return item
        return replace(now, metadata=replace(now.metadata, generation=item.metadata.generation))

    def _tell_takeover(self, item: CustomResource, run: Run, lattice: Lattice) -> None:
        if run.adopts:
            note = f"Lattice {lattice.name} had an application of this name without an owner: it is managed here now"
            self._event(item, "Normal", "Adopted", note)
        elif run.inherits is not None:
            self._event(item, "Normal", "Adopted", f"Its owner {run.inherits} is gone: it is managed here now")

    def _forget(self, key: Key) -> None:
        self.deletion.forget(key)
        self.examiner.forget(key)
        self.retries.forget(key)

    def _event(self, item: CustomResource, type_: EventType, reason: str, note: str) -> None:
        self.recorder.event(APPLICATION, item.metadata, type_, reason, note, action="Deploy")


def _place(choice: Chosen) -> dict[str, object]:
    return {"lattice": choice.lattice.name, "hostConfig": choice.host_config}


def _remembered_versions(item: CustomResource, record: Record | None) -> dict[str, object]:
    """The versions as last read, while wadm's list has not shown that they changed: it does not tell them itself."""
    versions = own_status(item.status).get("versions")
    if record is None or not versions or versions[-1] != record.newest or record.deployed not in ("", *versions):
        return {}
    return {"versions": versions}


def _history_limit(item: CustomResource) -> int:
    """How many old versions stay: the annotation, where it is a number, else ten."""
    text = item.metadata.annotations.get(naming.REVISION_HISTORY_LIMIT, "")
    return int(text) if _NUMBER.fullmatch(text) else naming.DEFAULT_REVISION_HISTORY_LIMIT
