"""The steps in wadm: read before deciding, put, deploy, prune, remove. Each is safe to repeat after a lost answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from wasmcloud_operator.application.manifest import Content, Owner, digest_of, owner_of, to_manifest
from wasmcloud_operator.application.plan import Run, Stored, fits, made_by_operator, size_of, worth_measuring
from wasmcloud_operator.application.view import Record, View, as_told
from wasmcloud_operator.kube.clock import Clock
from wasmcloud_operator.lattice.errors import PayloadTooLarge, WadmNotFound, WadmTransient, WadmVersionExists
from wasmcloud_operator.lattice.lattices import Lattice
from wasmcloud_operator.lattice.wadm import WadmClient

# Of a NATS message; wadm wraps manifests in its answers and events.
_NEARLY_FULL = 0.9


@dataclass(frozen=True, slots=True)
class WadmSide:
    """One lattice's wadm for one owner. Methods raise the errors of `WadmClient`."""

    lattice: Lattice
    view: View
    me: Owner
    clock: Clock

    @property
    def _wadm(self) -> WadmClient:
        return self.lattice.wadm

    async def look(self, name: str, declared: str | None = None) -> Stored | None:
        """The application as wadm has it now, with the digest of its version `declared`; None if it has none."""
        try:
            infos = await self._wadm.versions(name)
            if not infos:
                return None
            versions = tuple(info.version for info in infos)
            deployed = next((info.version for info in infos if info.deployed), "")
            newest = await self._wadm.get(name)
            owner = owner_of(newest)
            if deployed not in ("", versions[-1]):  # what somebody has put on top is not what runs
                owner = owner_of(await self._wadm.get(name, deployed)) or owner
            digest = None
            if declared in versions:
                digest = digest_of(newest if declared == versions[-1] else await self._wadm.get(name, declared))
        except WadmNotFound:
            return None
        return Stored(versions, deployed, owner, digest, size_of(newest))

    async def put(self, content: Content, run: Run, stored: Stored | None, limit: int) -> Stored:
        """Store the content under the version of the plan, old versions pruned before; gives what wadm then has.

        Of a first put the owner is read back, as wadm lets two writers overwrite each other there. Raises
        PayloadTooLarge for what wadm could not store beside what must stay, or not hand out again.
        """
        manifest = to_manifest(content, run.version, self.me)
        self._check_size(size_of(manifest))
        left = await self._prune(content, run, stored, limit, size_of(manifest)) if stored is not None else ()
        try:
            total = (await self._wadm.put(manifest)).total_versions
            if not left:
                return await self._read_back(content, run.version, total)
        except WadmVersionExists as error:
            # A lost answer, or somebody else was faster: what is stored decides, next time.
            self.doubt(content.name)
            raise WadmTransient(f"version {run.version} was stored meanwhile; looking again") from error
        except BaseException:
            self.doubt(content.name)
            raise
        return Stored((*left, run.version), stored.deployed if stored else "", self.me, content.digest)

    def doubt(self, name: str) -> None:
        """Have wadm asked before anything that is known of the application is believed again."""
        self.view.records.setdefault(name, Record("", "")).suspect = True

    async def _read_back(self, content: Content, version: str, total: int) -> Stored:
        """What wadm has after a first put, and whose it is: the first version decides, whatever was put on top."""
        name = content.name
        if total > 1:  # it was put by others since the list, and now has our version on top
            infos = await self._wadm.versions(name)
            others = [info.version for info in infos if info.version != version]
            if others and owner_of(await self._wadm.get(name, others[-1])) not in (None, self.me):
                await self._wadm.delete(name, version)
                raise WadmTransient(f"{name} was put by somebody else meanwhile; looking again")
            stored = await self.look(name)
            if stored is not None:
                return stored
        try:
            manifest = await self._wadm.get(name, version)
        except WadmNotFound:
            raise WadmTransient(f"{name} was overwritten by somebody else meanwhile; looking again") from None
        return Stored((version,), "", owner_of(manifest), digest_of(manifest))

    async def deploy(self, content: Content, version: str, stored: Stored) -> Record:
        """Run the version. The record says so before wadm does, since its pushes can come before its answer."""
        record = self._record(content, version, stored)
        record.deployed_at = self.clock.monotonic()
        self.view.records[content.name] = record
        try:
            await self._passed_on(content.name, self._wadm.deploy(content.name, version))
        except BaseException:
            record.suspect = True
            raise
        return record

    def keep(self, content: Content, version: str, stored: Stored) -> Record:
        """Take note that wadm runs the version already."""
        before = self.view.records.get(content.name)
        record = self._record(content, version, stored)
        if before is not None and before.deployed == version:
            record.status, record.deployed_at = before.status, before.deployed_at
        self.view.records[content.name] = record
        return record

    async def undeploy(self, name: str, stored: Stored) -> None:
        """Stop running it, and keep its versions."""
        if stored.deployed or name in self.view.untold:
            await self._passed_on(name, self._wadm.undeploy(name))
        self.view.records[name] = Record("", stored.versions[-1], stored.versions, owner=stored.owner)

    async def remove(self, name: str, alive: Callable[[Owner], bool]) -> bool:
        """Undeploy and forget it, if it is ours; whether it was. What was taken over may still name its first owner.

        What is gone without wadm's workers having been told is deleted again: they are told then.
        """
        stored = await self.look(name)
        ours = stored is not None and stored.owner is not None and (stored.owner == self.me or not alive(stored.owner))
        untold = name in self.view.untold
        if stored is not None and ours and (stored.deployed or untold):
            await self._passed_on(name, self._wadm.undeploy(name))
        if ours or (stored is None and untold):
            await self._passed_on(name, self._wadm.delete(name))
            self.view.records.pop(name, None)
            return True
        return False

    async def poll(self, record: Record, name: str) -> None:
        """Ask for the status, where no push told it."""
        record.status = as_told(await self._wadm.status(name), record.deployed)
        record.deployed_at = None

    async def _passed_on(self, name: str, change: Awaitable[object]) -> None:
        """Have wadm make a change; when it could not tell its own workers, what it has stored does not say so."""
        try:
            await change
        except WadmTransient:
            self.view.untold.add(name)
            self.doubt(name)
            raise
        self.view.untold.discard(name)

    def _record(self, content: Content, version: str, stored: Stored) -> Record:
        return Record(version, stored.versions[-1], stored.versions, owner=self.me, digest=content.digest)

    async def _prune(self, content: Content, run: Run, stored: Stored, limit: int, new_bytes: int) -> tuple[str, ...]:
        """Delete the oldest of our own versions until the new one has room; gives those that stay.

        wadm is never asked to store more than one message holds: it would lose its connection over that.
        """
        whole = self.lattice.connection.max_payload
        sizes: dict[str, int] = {}
        if run.adopts or worth_measuring(max(new_bytes, stored.newest_bytes), limit, whole):
            for version in stored.versions:
                sizes[version] = size_of(await self._wadm.get(content.name, version))
        kept = {stored.deployed, content.declared_version}  # the user's own must not be put again
        self._check_size(new_bytes + sum(size for version, size in sizes.items() if version in kept))
        left = list(stored.versions)
        for version in stored.versions:
            if fits(left, sizes, new_bytes, limit=limit, whole=whole):
                break
            if version not in kept and await self._is_ours(content.name, version):
                await self._wadm.delete(content.name, version)
                left.remove(version)
        self._check_size(new_bytes + sum(sizes.get(version, 0) for version in left))
        return tuple(left)

    def _check_size(self, size: int) -> None:
        limit = self.lattice.connection.max_payload
        if size > limit * _NEARLY_FULL:
            raise PayloadTooLarge(size, limit)

    async def _is_ours(self, name: str, version: str) -> bool:
        if made_by_operator(version):
            return True
        try:
            return owner_of(await self._wadm.get(name, version)) == self.me
        except WadmNotFound:
            return False
