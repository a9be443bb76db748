"""The reconciler of Applications: from a resource to what wadm runs, and to the resource's status."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from msgspec.structs import replace

from wasmcloud_operator.application import naming, status
from wasmcloud_operator.application.deletion import Deletion
from wasmcloud_operator.application.examine import ExaminedManifest, Examiner
from wasmcloud_operator.application.lattice_choice import Chosen, NotChosen
from wasmcloud_operator.application.lattice_selector import LatticeSelector
from wasmcloud_operator.application.owners import Owners
from wasmcloud_operator.application.place import Place, departures, is_copied, place, stored_at
from wasmcloud_operator.application.status import Verdict
from wasmcloud_operator.application.writer import ApplicationWriter, own_status
from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.kinds import APPLICATION
from wasmcloud_operator.kube.backoff import RateLimiter
from wasmcloud_operator.kube.codec import METADATA
from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.kube.errors import WritesForbidden
from wasmcloud_operator.kube.events import EventRecorder, EventType
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.content import VERSION
from wasmcloud_operator.lattice.decision import Run
from wasmcloud_operator.lattice.errors import LatticeError
from wasmcloud_operator.lattice.lattice import Lattice
from wasmcloud_operator.lattice.ledger import Entry, ListState
from wasmcloud_operator.lattice.ledger_writer import LedgerWriter, NameTaken, StepRefused
from wasmcloud_operator.names import FIRST_PLACE, RESUMPTION, UNREADABLE, is_paused
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.applications_gate import ApplicationsGate

# Nearly always a push comes within this after a deploy: one status is written instead of two.
_PUSH_SECONDS = 2.0
# Until the lattice's hosts are all known.
_HOSTS_SECONDS = 5.0
# What wadm refuses is tried again now and then: only the lattice knows why.
_REFUSED_SECONDS = 60.0
# After a start host configs are still being read: what an earlier life wrote stands until then.
_START_SECONDS = 5.0

# Whose the CRD is shows soon; if it is not ours its objects are dropped.
_DOUBT_SECONDS = 1.0

_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(slots=True, kw_only=True)
class ApplicationReconciler:
    """Has wadm run one Application as its spec asks. Every outcome is in its status, failures of a lattice too."""

    applications: Informer[CustomResource]
    selector: LatticeSelector
    writer: ApplicationWriter
    deletion: Deletion
    recorder: EventRecorder
    clock: Clock
    owners: Owners
    wake: Callable[[Key], None]
    gate: ApplicationsGate
    examiner: Examiner = field(default_factory=Examiner)
    retries: RateLimiter[Key] = field(default_factory=lambda: RateLimiter(base=0.2, cap=30.0))
    _started: float | None = None

    async def reconcile(self, key: Key) -> Result:
        """Bring the Application of that key one step on. Raises the errors of `kube.errors`."""
        if self._started is None:
            self._started = self.clock.monotonic()
        item = self.applications.store.get(key)
        if key in self.applications.store.unreadable:
            item = await self._going(key, item)
            if item is None:
                return Result.waiting(UNREADABLE)  # not deleted: what it has in wadm stays as it is
        if item is None:
            self._forget(key)
            return DONE
        if not self.gate.ours:
            return Result.waiting(f"the CRD {APPLICATION}, which may be another project's by now", _DOUBT_SECONDS)
        if is_paused(item.metadata.annotations):
            await self.writer.show_paused(item)  # a deletion waits as well: nothing is written, in wadm neither
            return Result.waiting(RESUMPTION)
        if item.metadata.deleting:
            return await self.deletion.finalize(item)
        return await self._run(item)

    async def _going(self, key: Key, last: CustomResource | None) -> CustomResource | None:
        """Returns an Application that cannot be decoded, as it was last, if it is being deleted; else None."""
        query = [("fieldSelector", f"metadata.name={key.name}")]
        page = await self.deletion.client.list_page(
            APPLICATION, METADATA, namespace=key.namespace, query=query, metadata_only=True
        )
        for found in page.items:
            if last is not None and found.metadata.uid == last.metadata.uid and found.metadata.deleting:
                return CustomResource(found.metadata, last.spec, last.status)
        return None

    async def report(self, key: Key, error: Exception) -> None:
        """Show a failure that is no fault of the Application in its status."""
        item = self.applications.store.get(key)
        gone = item is None or (item.metadata.deleting and naming.FINALIZER not in item.metadata.finalizers)
        if item is not None and not gone and self.gate.ours:
            await self.writer.show(item, status.failing(f"{type(error).__name__}: {error}; trying again"))

    async def _run(self, item: CustomResource) -> Result:
        was_put = stored_at(item)
        if was_put is not None:  # whatever keeps it from wadm now: without the finalizer a deletion would not wait
            item = await self.writer.add_finalizer(item, was_put)
        examined = self.examiner.examine(item)
        if examined.problems:
            await self._show_stalled(item, status.invalid(examined.problems))
            return Result.waiting(f"another manifest: {status.problems_text(examined.problems)}")
        choice = await self._recognised(item, self.selector.choose(item))
        if isinstance(choice, NotChosen):
            return await self._wait_for_lattice(item, choice)
        return await self._at(item, examined, choice)

    async def _recognised(self, item: CustomResource, choice: Chosen | NotChosen) -> Chosen | NotChosen:
        """The choice, or where the way to that lattice was never up, another one whose wadm has the Application."""
        for other in choice.others:
            with suppress(LatticeError):
                if other.lattice.connection.state.connected and await self.deletion.is_in(item, other.lattice):
                    return other
        return choice

    async def _at(self, item: CustomResource, examined: ExaminedManifest, choice: Chosen) -> Result:
        """Go on in the lattice, unless it is out of reach or has enough to do."""
        key, ledger, state = item.metadata.key, choice.lattice.ledger, choice.lattice.connection.state
        if not state.connected:
            if not state.connecting:
                await self.writer.show(item, status.out_of_reach(state.reason, state.message))
            return Result.waiting(f"lattice {choice.lattice.name}: {state.message or state.reason}")
        if ledger.listing is ListState.AWAITED:
            return Result.waiting(f"wadm's list of lattice {choice.lattice.name}")
        if not ledger.acquire(key.name, waiter=key, wake=partial(self.wake, key)):
            return Result.waiting(f"another change of the same name in lattice {choice.lattice.name} to end")
        try:
            result = await self._in_lattice(item, examined, choice)
        except LatticeError as error:
            return await self._unavailable(item, error)
        finally:
            ledger.release(key.name)
        self.retries.forget(key)
        return result

    async def _in_lattice(self, item: CustomResource, examined: ExaminedManifest, choice: Chosen) -> Result:
        """Have wadm run the content, then take it out of the lattices that it has left."""
        key, content = item.metadata.key, examined.content
        side = self.deletion.ledger_writer(item, choice.lattice)
        leaving = await self.deletion.leaving(item, choice.lattice)
        where = {**_place(choice).as_status(), **_leaving(leaving)}
        wanted = not naming.is_undeployed(item.metadata.annotations)
        before = own_status(item.status)
        there = Place(choice.lattice.name, "", str(before.get("latticeId", ""))).is_in(choice.lattice.identity)
        version, deploying = before.get("deployedVersion"), status.is_deploying(before)
        if there and not is_copied(item):
            digest = before.get("contentDigest")
            side.ledger.remember(content.name, content, side.me, version=version, digest=digest, deploying=deploying)
        try:
            entry = await side.ensure(
                content,
                deployed=wanted,
                limit=_history_limit(item),
                before_write=partial(self._before_write, item, choice, leaving),
                on_taken=partial(self._report_taken, item, choice.lattice),
                reported="" if deploying or version is None else str(version),
            )
        except NameTaken as taken:
            self.selector.refuse(key, choice.lattice)
            await self._show_stalled(item, status.conflict(taken.owner, choice.lattice.name), where)
            return Result.waiting(f"its name in lattice {choice.lattice.name}, which belongs to {taken.owner}")
        except StepRefused as refused:
            self.selector.refuse(key, choice.lattice)
            await self._show_stalled(item, status.rejected(refused.step, refused.message), where)
            return Result.waiting(f"wadm to take it: {refused.message}", _REFUSED_SECONDS)
        self.selector.accept(key)
        await self._settle(item, choice, leaving)
        entry, again = await self._confirmed(side, entry, content.name) if wanted else (entry, None)
        confirmed = again is None
        if again is None or again <= side.ledger.lag - _PUSH_SECONDS or leaving:
            verdict = status.running(entry, examined.unscaled) if wanted else status.undeployed()
            await self._show(item, verdict, {**where, **_remembered_versions(item, entry), **status.fields(entry)})
        else:
            again = _PUSH_SECONDS
        if wanted and confirmed:
            again = await self._attended(item, side, entry, choice.lattice)
        return await self._leave(item, leaving, again)

    async def _leave(self, item: CustomResource, leaving: list[Place], again: float | None) -> Result:
        """Remove the Application from its former lattices; its status in the new one is written already."""
        left = await self.deletion.depart(item, leaving)
        if leaving and await self.writer.show_leaving(self._latest(item), _leaving(left)):
            self.deletion.report_leaving(item, leaving, left)
        if not left:
            return DONE if again is None else Result.waiting("wadm's word about the deployed version", again)
        delay = self.deletion.retries.when(item.metadata.key)
        names = ", ".join(departure.lattice for departure in left)
        return Result.waiting(f"its removal from lattice {names}", delay if again is None else min(again, delay))

    async def _before_write(self, item: CustomResource, choice: Chosen, leaving: list[Place], run: Run) -> None:
        """Have the deletion wait for what is about to be written. Raises WritesForbidden while the CRD is in doubt.

        The lattice is written down before anything is in the lattice, and so are those that are left for it: whoever
        comes after a crash has to know where to look. The first one goes with the finalizer, each later one into the
        status.
        """
        if not self.gate.ours:
            raise WritesForbidden(f"the CRD {APPLICATION} may be another project's by now")
        settled = await self._settle(item, choice, leaving)
        here = place(settled)
        if here is None or not here.is_in(choice.lattice.identity) or set(leaving) - set(departures(settled.status)):
            found = {**_place(choice).as_status(), **_leaving(leaving)}
            await self.writer.show(self._latest(item), status.placed(run.version), found, at_once=True)

    def _report_taken(self, item: CustomResource, lattice: Lattice, run: Run) -> None:
        """Record Events of what wadm has taken, not of each attempt while it refuses."""
        if run.adopts:
            note = f"Lattice {lattice.name} had an application of this name without an owner: it is managed here now"
            self._event(item, "Normal", Reason.ADOPTED, note)
        elif run.inherits is not None and run.inherits.name_here != self.owners.of(item).name_here:
            self._event(item, "Normal", Reason.ADOPTED, f"Its owner {run.inherits} is gone: it is managed here now")
        if run.put and run.renamed and not run.adopts:
            version = item.metadata.annotations.get(VERSION)
            note = f"Version {version} has other content already: deployed as {run.version}. "
            self._event(item, "Warning", Reason.VERSION_REUSED, f"{note}Change the annotation version with the content")

    async def _settle(self, item: CustomResource, choice: Chosen, leaving: list[Place]) -> CustomResource:
        """Hold what the deletion needs: the finalizer, which tools may have taken away, and the ways to wadm.

        Returns the Application as it is then.
        """
        for departure in leaving:
            self.selector.departing(item, departure)
        self.selector.hold(item.metadata.key, choice.lattice)
        now = self.applications.store.get(item.metadata.key)
        if now is None or now.metadata.uid != item.metadata.uid or now.metadata.deleting:
            return item
        return await self.writer.add_finalizer(now, _place(choice))

    async def _confirmed(self, side: LedgerWriter, entry: Entry, name: str) -> tuple[Entry, float | None]:
        """Have the status of the deployed version; with the seconds until it has to be asked for, None if known."""
        if entry.deploying is not None:
            left = entry.deploying.since + side.ledger.lag - self.clock.monotonic()
            if left > 0:
                return entry, left
            entry = await side.refresh_status(name)
            return entry, side.ledger.lag if entry.deploying is not None else None
        return (await side.refresh_status(name) if entry.status is None else entry), None

    async def _attended(self, item: CustomResource, side: LedgerWriter, entry: Entry, lattice: Lattice) -> float | None:
        """Have a version deployed once more that wadm does nothing about though hosts are there.

        Returns the seconds until the next look; None where wadm needs none.
        """
        if entry.repeat_at is None:
            return None
        if not lattice.hosts.hosts:  # wadm looks at what is deployed when the first host comes
            return None if lattice.hosts.synced else _HOSTS_SECONDS
        left = entry.repeat_at - self.clock.monotonic()
        if left > 0:
            return left
        await side.deploy_again(item.metadata.name, entry)
        note = f"wadm has done nothing about version {entry.deployed}, though lattice {lattice.name} has hosts"
        self._event(item, "Normal", Reason.DEPLOYED_AGAIN, note)
        return side.ledger.lag

    async def _wait_for_lattice(self, item: CustomResource, why: NotChosen) -> Result:
        started = self.clock.monotonic() if self._started is None else self._started
        left = started + _START_SECONDS - self.clock.monotonic()
        if why.soon and left > 0:
            return Result.waiting(f"host configs, which are still being read: {why.message}", left)
        if why.stalled:
            await self._show_stalled(item, status.no_lattice(why))
        else:
            await self.writer.show(item, status.no_lattice(why))
        return Result.waiting(f"a lattice: {why.message}")

    async def _unavailable(self, item: CustomResource, error: LatticeError) -> Result:
        item = self._latest(item)
        reason = type(error).__name__
        await self.writer.show(item, status.out_of_reach(reason, f"{error}; trying again"))
        return Result.waiting(f"wadm: {error}", self.retries.when(item.metadata.key))

    async def _show(self, item: CustomResource, verdict: Verdict, fields: dict[str, object]) -> None:
        item = self._latest(item)
        before = own_status(item.status)
        if not await self.writer.show(item, verdict, fields):
            return
        if fields.get("deployedVersion") not in (None, before.get("deployedVersion")):
            note = f"Deployed version {fields['deployedVersion']} to lattice {fields['lattice']}"
            self._event(item, "Normal", Reason.DEPLOYED, note)
        if verdict.stalled and verdict.message != before.get("message"):
            self._event(item, "Warning", verdict.reason, verdict.message)

    async def _show_stalled(
        self, item: CustomResource, verdict: Verdict, fields: dict[str, object] | None = None
    ) -> None:
        """Show what only a user can mend, with what was found out before."""
        item = self._latest(item)
        kept = {**own_status(item.status), **(fields or {})}
        await self._show(item, verdict, {name: kept[name] for name in status.FOUND_OUT if name in kept})

    def _latest(self, item: CustomResource) -> CustomResource:
        """The item as the cache has it now, under the generation that was looked at.

        It may have changed while wadm was at work: an outcome of the old content must not be shown for the new content.
        """
        now = self.applications.store.get(item.metadata.key)
        if now is None or now.metadata.uid != item.metadata.uid:
            return item
        looked_at = item.metadata
        placed = {name: value for name, value in now.metadata.annotations.items() if name == FIRST_PLACE}
        metadata = replace(
            now.metadata,
            generation=looked_at.generation,
            annotations={**looked_at.annotations, **placed},
            labels=looked_at.labels,
        )
        return replace(now, metadata=metadata)

    def _forget(self, key: Key) -> None:
        self.deletion.forget(key)
        self.examiner.forget(key)
        self.retries.forget(key)

    def _event(self, item: CustomResource, type_: EventType, reason: str, note: str) -> None:
        self.recorder.event(APPLICATION, item.metadata, type_, reason, note, action="Deploy")


def _place(choice: Chosen) -> Place:
    return Place(choice.lattice.name, choice.host_config, choice.lattice.identity.id)


def _leaving(places: Iterable[Place]) -> JsonObject:
    listed = [one.as_status() for one in places]
    return {"leaving": listed} if listed else {}


def _remembered_versions(item: CustomResource, record: Entry) -> dict[str, object]:
    """The versions as last read, while wadm's list has not shown that they changed: the list has no old versions."""
    versions = own_status(item.status).get("versions")
    if not versions or versions[-1] != record.newest or record.deployed not in ("", *versions):
        return {}
    return {"versions": versions}


def _history_limit(item: CustomResource) -> int:
    """How many old versions stay: the annotation, where it is a number, else ten."""
    text = item.metadata.annotations.get(naming.REVISION_HISTORY_LIMIT, "")
    return int(text) if _NUMBER.fullmatch(text) else naming.DEFAULT_REVISION_HISTORY_LIMIT
