"""Removes from wadm what has no owner any more, with the setting `--orphans=remove`: what is certain, and slowly.

A restored backup or a deleted CRD looks like many lost owners at once, and must not undeploy a fleet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from wasmcloud_operator.application.lattice_events import LatticeEvents
from wasmcloud_operator.application.left_on_purpose import LeftOnPurpose
from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.kinds import APPLICATION
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.codec import METADATA
from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.kube.errors import NotFound
from wasmcloud_operator.lattice.content import Owner
from wasmcloud_operator.lattice.lattice import Lattice
from wasmcloud_operator.lattice.ledger_writer import LedgerWriter
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.applications_gate import ApplicationsGate

# An owner that is missing for so long was not just about to be listed.
GONE_SECONDS = 60.0
# So many are removed in any ten minutes: time to notice, and to stop the operator.
AT_ONCE = 3
PAUSE_SECONDS = 600.0
_BUSY_SECONDS = 1.0


log = structlog.get_logger()

Left = tuple[str, Owner]


@dataclass(slots=True)
class _RemovalState:
    """What was found out of a lattice's orphans."""

    since: dict[Left, float] = field(default_factory=dict)
    """When each was first seen to be missing its owner, in monotonic seconds."""

    held: bool = False
    paused: bool = False
    """What was reported of it."""


@dataclass(slots=True, eq=False)
class OrphanRemoval:
    """Takes out of wadm what `Leftovers` finds there, unless it was left on purpose."""

    client: Reader
    gate: ApplicationsGate
    on_purpose: LeftOnPurpose
    clock: Clock
    events: LatticeEvents
    _memories: dict[Lattice, _RemovalState] = field(default_factory=dict)
    _removed: deque[float] = field(default_factory=lambda: deque(maxlen=AT_ONCE))

    def forget(self, lattice: Lattice) -> None:
        """The lattice is not used any more, or it is not known now what is left there."""
        self._memories.pop(lattice, None)

    async def step(self, lattice: Lattice, left: Callable[[], Mapping[str, Owner]], owned: int) -> Result:
        """Removes the certain orphans among `left`, in a lattice with `owned` applications of this cluster.

        Raises the errors of `kube.errors` and of the ledger's writer.
        """
        now, memory = self.clock.monotonic(), self._memories.setdefault(lattice, _RemovalState())
        since = memory.since = {one: memory.since.get(one, now) for one in left().items()}
        kept = await self.on_purpose.uids() if since else ()
        going = {one: at for one, at in since.items() if one[1].uid and one[1].uid not in kept}
        if not going:
            self.forget(lattice)
            return DONE
        owned -= len(since) - len(going)
        if 2 * len(going) > owned:
            return await self._hold(lattice, memory, going, owned)
        memory.held = False
        for (name, owner), at in sorted(going.items(), key=lambda one: one[1]):
            if (wait := at + GONE_SECONDS - self.clock.monotonic()) > 0:
                return Result.waiting(f"owners of lattice {lattice.name} to come back", wait)
            if (wait := self._pause()) > 0:
                return self._rest(lattice, memory, owner, wait)
            if await self._is_gone(owner) and left().get(name) == owner and self.gate.ours:
                if not lattice.ledger.acquire(name, waiter=self, wake=lambda: None):
                    return Result.waiting(f"another change of {name} in lattice {lattice.name} to end", _BUSY_SECONDS)
                try:
                    await self._remove(lattice, memory, name, owner)
                finally:
                    lattice.ledger.release(name)
            memory.since.pop((name, owner), None)
        return DONE

    async def _remove(self, lattice: Lattice, memory: _RemovalState, name: str, owner: Owner) -> None:
        """Remove it if wadm has it still as that owner's."""
        writer = LedgerWriter(
            ledger=lattice.ledger,
            wadm=lattice.wadm_writer,
            channel=lattice.connection,
            me=owner,
            alive=lambda _: True,  # what another one has put meanwhile is not ours to remove
            clock=self.clock,
        )
        self._removed.append(self.clock.monotonic())
        if await writer.remove(name):
            memory.paused = False
            note = f"Removed {name} from wadm in lattice {lattice.name}: its Application {_named(owner)} is gone"
            log.warning("orphan removed", lattice=lattice.name, application=name, owner=_named(owner))
            self.events.event(lattice, owner, "Normal", Reason.ORPHAN_REMOVED, note)

    async def _is_gone(self, owner: Owner) -> bool:
        """Whether the API server itself confirms the loss; only possible while it serves the kind."""
        query = [("fieldSelector", f"metadata.name={owner.name}"), ("limit", "1")]
        try:
            page = await self.client.list_page(
                APPLICATION, METADATA, namespace=owner.namespace, query=query, metadata_only=True
            )
        except NotFound:
            return False
        return all(found.metadata.uid != owner.uid for found in page.items)

    def _pause(self) -> float:
        """Returns the seconds until one more may be removed, whatever its lattice."""
        if len(self._removed) < AT_ONCE:
            return 0.0
        return self._removed[0] + PAUSE_SECONDS - self.clock.monotonic()

    def _rest(self, lattice: Lattice, memory: _RemovalState, owner: Owner, seconds: float) -> Result:
        if not memory.paused:
            memory.paused = True
            note = f"{AT_ONCE} applications were removed from wadm; more of lattice {lattice.name} follow after a pause"
            self.events.event(lattice, owner, "Warning", Reason.ORPHANS_PAUSED, note)
        return Result.waiting(f"a pause before more of lattice {lattice.name} is removed", seconds)

    async def _hold(self, lattice: Lattice, memory: _RemovalState, going: Mapping[Left, float], owned: int) -> Result:
        if not memory.held:
            note = (
                f"{len(going)} of {owned} applications of this cluster in lattice {lattice.name} have lost their "
                "Application, which is more than half: none is removed. Apply them again, or remove them with "
                "wash app delete"
            )
            owner = next(iter(going))[1]
            log.warning("orphans not removed", lattice=lattice.name, lost=len(going), of=owned)
            if not await self.events.stands(lattice, owner, Reason.ORPHANS_HELD, note):
                self.events.event(lattice, owner, "Warning", Reason.ORPHANS_HELD, note)
            memory.held = True
        return Result.waiting(f"somebody to look after more than half of lattice {lattice.name}", PAUSE_SECONDS)


def _named(owner: Owner) -> str:
    return f"{owner.namespace}/{owner.name}"
