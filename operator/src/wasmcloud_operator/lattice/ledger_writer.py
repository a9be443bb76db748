"""Changes wadm for one owner: decides on what is known, reads where that is not enough, records the outcome.

Each is safe to repeat after a lost answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.lattice.connection_types import Channel
from wasmcloud_operator.lattice.content import Content, Owner, digest_of, owner_of, to_manifest
from wasmcloud_operator.lattice.decision import (
    OwnedByAnother,
    Run,
    Stored,
    decide,
    fits,
    made_by_operator,
    scaler_shape,
    size_of,
    worth_measuring,
)
from wasmcloud_operator.lattice.deploying import Deploying, begin, begun_before
from wasmcloud_operator.lattice.errors import (
    LatticeError,
    PayloadTooLarge,
    WadmNotFound,
    WadmRejected,
    WadmTransient,
    WadmVersionExists,
)
from wasmcloud_operator.lattice.ledger import Entry, Ledger, Stale
from wasmcloud_operator.lattice.wadm import WadmWriter

# Of a NATS message; wadm wraps manifests in its answers and events.
_NEARLY_FULL = 0.9


class Step(StrEnum):
    """What wadm was asked to do."""

    PUT = "Put"
    DEPLOY = "Deploy"


class StepRefused(LatticeError):
    """wadm will not take a step as things are; only a user or another application can change that."""

    def __init__(self, step: Step, message: str) -> None:
        super().__init__(f"{step}: {message}")
        self.step = step
        self.message = message


class NameTaken(LatticeError):
    """The application of that name belongs to somebody else."""

    def __init__(self, owner: Owner) -> None:
        super().__init__(f"it belongs to {owner}")
        self.owner = owner


Alive = Callable[[Owner], bool]
BeforeWrite = Callable[[Run], Awaitable[None]]
OnTaken = Callable[[Run], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerWriter:
    """Changes the applications of one owner in one lattice.

    The name must be in hand (`Ledger.acquire`). `alive` is whether an owner still stands behind what it put. Methods
    raise the errors of `WadmWriter`, `NameTaken` and `StepRefused`.
    """

    ledger: Ledger
    wadm: WadmWriter
    channel: Channel
    me: Owner
    alive: Alive
    clock: Clock

    async def ensure(
        self,
        content: Content,
        *,
        deployed: bool,
        limit: int,
        before_write: BeforeWrite,
        on_taken: OnTaken,
        reported: str = "",
    ) -> Entry:
        """Have the content stored, and run or not. Returns what wadm then has.

        `reported` is the version of which an earlier life has had a status, if any: another one it may have deployed a
        moment before it ended.
        `limit` old versions stay beside it. `before_write` hears of what is to be done before any of it is; `on_taken`
        of the same once wadm has taken it, and not again when a later step fails and is repeated.
        """
        entry = self.ledger.entry(content.name)
        if entry is not None and entry.holds(content, self.me, deployed=deployed):
            if not self.ledger.is_unconfirmed(content.name):
                return entry
        elif entry is not None and entry.certain:
            self._check_owner(entry.owner)
        absent = entry is None and self.ledger.current  # a first put is read back
        stored = None if absent else await self.look(content.name, content.declared_version)
        decided = decide(content, stored, self.me, self.alive)
        if isinstance(decided, OwnedByAnother):
            self._note_others(content.name, decided.owner, stored)
            raise NameTaken(decided.owner)
        await before_write(decided)
        if decided.put:
            stored = await self._put(content, decided, stored, limit)
            on_taken(decided)
        if stored is None:
            raise StepRefused(Step.PUT, "the application is not there")
        if not decided.put and self._claim(content.name, stored, reported):
            on_taken(decided)
        if deployed:
            return await self._deployed(content, decided, stored)
        return await self._undeployed(content, stored)

    async def remove(self, name: str) -> bool:
        """Undeploy and delete it, if it is ours. Returns whether it was.

        After an adoption the first owner may still be named. What is gone without wadm's workers having been reached is
        deleted again, which reaches them.
        """
        stored = await self.look(name)
        owner = stored.owner if stored is not None else None
        ours = owner is not None and (owner.is_same(self.me) or not self.alive(owner))
        unconfirmed = self.ledger.is_unconfirmed(name)
        if stored is not None and ours and (stored.deployed or unconfirmed):
            await self._passed_on(name, self.wadm.undeploy(name))
        if ours or (stored is None and unconfirmed):
            await self._passed_on(name, self.wadm.delete(name))
            self.ledger.remove(name)
            return True
        return False

    async def refresh_status(self, name: str) -> Entry:
        """Ask for the status, where no push brought it."""
        return self.ledger.answered(name, await self.wadm.status(name))

    async def deploy_again(self, name: str, entry: Entry) -> Entry:
        """Have wadm deploy the version once more that it does nothing about (`Entry.repeat_at`)."""
        begun = Deploying(self.clock.monotonic(), former=None, distinct=False)
        again = replace(entry, status=None, deploying=begun, idle_since=None, repeats=entry.repeats + 1)
        return await self._deploy(name, again)

    async def look(self, name: str, declared: str | None = None) -> Stored | None:
        """The application as wadm has it now, with the digest of its version `declared`; None if it has none.

        Its owner is the owner of what runs, else of the newest version that names one: what somebody has put on top
        with other means than ours does not take it from its owner.
        """
        try:
            infos = await self.wadm.versions(name)
            if not infos:
                return None
            versions = tuple(info.version for info in infos)
            deployed = next((info.version for info in infos if info.deployed), "")
            manifests = {versions[-1]: await self.wadm.get(name)}
            for version in (deployed, declared):
                if version in versions and version not in manifests:
                    manifests[version] = await self.wadm.get(name, version)
            owner = owner_of(manifests.get(deployed, manifests[versions[-1]]))
            for version in reversed(versions):
                if owner is not None:
                    break
                manifest = manifests.get(version) or await self.wadm.get(name, version)
                owner = owner_of(manifest)
        except WadmNotFound:
            return None
        return Stored(
            versions=versions,
            deployed=deployed,
            owner=owner,
            declared_digest=digest_of(manifests[declared]) if declared in manifests else None,
            newest_bytes=size_of(manifests[versions[-1]]),
            shape=scaler_shape(manifests[deployed]) if deployed else None,
        )

    # --- steps --------------------------------------------------------------------------------------------------------

    async def _deployed(self, content: Content, run: Run, stored: Stored) -> Entry:
        entry = self._entry(content, run.version, stored)
        if not run.deploy and not self.ledger.is_unconfirmed(content.name):
            before = self.ledger.entry(content.name)
            if before is not None and before.deployed == run.version:
                entry = replace(before, newest=entry.newest, versions=entry.versions, owner=entry.owner, stale=None)
                entry = replace(entry, digest=content.digest)
            return self.ledger.record(content.name, entry)
        return await self._deploy(content.name, replace(entry, deploying=self._deploying(content, run, stored)))

    async def _deploy(self, name: str, entry: Entry) -> Entry:
        """Have wadm run the version of the entry, which is recorded first: pushes can come before the answer."""
        self.ledger.record(name, entry)
        try:
            await self._passed_on(name, self.wadm.deploy(name, entry.deployed))
        except WadmRejected as error:
            self.ledger.doubt(name)
            raise StepRefused(Step.DEPLOY, error.message) from error
        except BaseException:
            self.ledger.doubt(name)
            raise
        return self.ledger.entry(name) or entry

    def _deploying(self, content: Content, run: Run, stored: Stored) -> Deploying:
        before = self.ledger.entry(content.name) if stored.deployed else None
        return begin(
            self.clock.monotonic(),
            scaler_shape(to_manifest(content, run.version, self.me)),
            former=before.status if before is not None else None,
            former_shape=stored.shape,
            pending=before.deploying if before is not None else None,
            again=before is not None and before.deployed == run.version,
        )

    async def _undeployed(self, content: Content, stored: Stored) -> Entry:
        name = content.name
        if stored.deployed or self.ledger.is_unconfirmed(name):
            await self._passed_on(name, self.wadm.undeploy(name))
        return self.ledger.record(name, self._entry(content, "", stored))

    def _entry(self, content: Content, deployed: str, stored: Stored) -> Entry:
        return Entry(
            deployed=deployed,
            newest=stored.versions[-1],
            versions=stored.versions,
            owner=self.me,
            digest=content.digest,
        )

    def _claim(self, name: str, stored: Stored, reported: str) -> bool:
        """Notes the application as ours, whatever owner its manifest names. Returns whether this is new."""
        known = self.ledger.entry(name) or Entry(
            deployed=stored.deployed, newest=stored.versions[-1], stale=Stale.CHANGED
        )
        if self.me.is_same(known.owner):
            return False
        if known.owner is None and stored.owner is not None and known.deployed not in ("", reported):
            known = replace(known, deploying=begun_before(self.clock.monotonic(), known.status))
        self.ledger.record(name, replace(known, owner=self.me))
        return True

    def _check_owner(self, owner: Owner | None) -> None:
        if owner is not None and not owner.is_same(self.me) and self.alive(owner):
            raise NameTaken(owner)

    def _note_others(self, name: str, owner: Owner, stored: Stored | None) -> None:
        """Keep what was read of somebody else's application."""
        if stored is not None:
            before = self.ledger.entry(name)
            if before is None or before.deployed != stored.deployed:
                before = Entry(deployed=stored.deployed, newest=stored.versions[-1])
            self.ledger.record(name, replace(before, versions=stored.versions, owner=owner, stale=None))

    async def _put(self, content: Content, run: Run, stored: Stored | None, limit: int) -> Stored:
        try:
            after = await self._store(content, run, stored, limit)
        except WadmRejected as error:
            raise StepRefused(Step.PUT, error.message) from error
        except PayloadTooLarge as error:
            raise StepRefused(Step.PUT, f"the manifest is too large: {error}") from error
        if after.owner is not None and not after.owner.is_same(self.me):
            self._note_others(content.name, after.owner, after)
            raise NameTaken(after.owner)
        return after

    async def _store(self, content: Content, run: Run, stored: Stored | None, limit: int) -> Stored:
        """Store the content under the version of the plan, old versions pruned before. Returns what wadm then has.

        Of a first put the owner is read back, as wadm lets two writers overwrite each other there. Raises
        PayloadTooLarge for what wadm could not store beside what must stay, or not hand out again.
        """
        manifest = to_manifest(content, run.version, self.me)
        self._check_size(size_of(manifest))
        left = await self._prune(content, run, stored, limit, size_of(manifest)) if stored is not None else ()
        try:
            total = (await self.wadm.put(manifest)).total_versions
            if not left:
                return await self._read_back(content, run.version, total)
        except WadmVersionExists as error:
            # A lost answer, or somebody else was faster: what is stored decides, next time.
            self.ledger.doubt(content.name)
            raise WadmTransient(f"version {run.version} was stored meanwhile; looking again") from error
        except BaseException:
            self.ledger.doubt(content.name)
            raise
        deployed, shape = (stored.deployed, stored.shape) if stored is not None else ("", None)
        return Stored(
            versions=(*left, run.version), deployed=deployed, owner=self.me, declared_digest=content.digest, shape=shape
        )

    async def _read_back(self, content: Content, version: str, total: int) -> Stored:
        """What wadm has after a first put, and whose it is: the first version decides, whatever was put on top."""
        name = content.name
        if total > 1:  # it was put by others since the list, and now has our version on top
            infos = await self.wadm.versions(name)
            others = [info.version for info in infos if info.version != version]
            theirs = owner_of(await self.wadm.get(name, others[-1])) if others else None
            if theirs is not None and not theirs.is_same(self.me):
                await self.wadm.delete(name, version)
                raise WadmTransient(f"{name} was put by somebody else meanwhile; looking again")
            stored = await self.look(name)
            if stored is not None:
                return stored
        try:
            manifest = await self.wadm.get(name, version)
        except WadmNotFound:
            raise WadmTransient(f"{name} was overwritten by somebody else meanwhile; looking again") from None
        return Stored(versions=(version,), deployed="", owner=owner_of(manifest), declared_digest=digest_of(manifest))

    async def _passed_on(self, name: str, change: Awaitable[object]) -> None:
        """Have wadm make a change; remembers where wadm could not reach its workers, which its store does not show."""
        try:
            await change
        except WadmTransient:
            self.ledger.unconfirmed(name, True)
            self.ledger.doubt(name)
            raise
        self.ledger.unconfirmed(name, False)

    async def _prune(self, content: Content, run: Run, stored: Stored, limit: int, new_bytes: int) -> tuple[str, ...]:
        """Delete the oldest of our own versions until the new one has room. Returns those that stay.

        wadm is never asked to store more than one message holds: it would lose its connection over that.
        """
        whole = self.channel.max_payload
        sizes: dict[str, int] = {}
        if run.adopts or worth_measuring(max(new_bytes, stored.newest_bytes), limit, whole):
            for version in stored.versions:
                sizes[version] = size_of(await self.wadm.get(content.name, version))
        kept = {stored.deployed, content.declared_version}  # the user's own must not be put again
        self._check_size(new_bytes + sum(size for version, size in sizes.items() if version in kept))
        left = list(stored.versions)
        for version in stored.versions:
            if fits(left, sizes, new_bytes, limit=limit, whole=whole):
                break
            if version not in kept and await self._is_ours(content.name, version):
                await self.wadm.delete(content.name, version)
                left.remove(version)
        self._check_size(new_bytes + sum(sizes.get(version, 0) for version in left))
        return tuple(left)

    def _check_size(self, size: int) -> None:
        limit = self.channel.max_payload
        if size > limit * _NEARLY_FULL:
            raise PayloadTooLarge(size, limit)

    async def _is_ours(self, name: str, version: str) -> bool:
        if made_by_operator(version):
            return True
        try:
            return self.me.is_same(owner_of(await self.wadm.get(name, version)))
        except WadmNotFound:
            return False
