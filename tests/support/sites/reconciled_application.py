"""The reconciler of Applications with its real parts; wadm, pools and the status writer are in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from wasmcloud_operator.application.deletion import Deletion, left_in_wadm
from wasmcloud_operator.application.lattice_selector import LatticeSelector
from wasmcloud_operator.application.owners import Owners
from wasmcloud_operator.application.place import Place, as_annotation, place
from wasmcloud_operator.application.reconciler import ApplicationReconciler
from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.connection_types import ConnectionPhase, ConnectionState
from wasmcloud_operator.lattice.errors import WadmNotFound
from wasmcloud_operator.lattice.identity import LatticeIdentity, LatticeRoute
from wasmcloud_operator.lattice.ledger import Ledger
from wasmcloud_operator.lattice.spec import ConnectionSpec
from wasmcloud_operator.lattice.wadm_events import StatusPushed
from wasmcloud_operator.lattice.wadm_types import AppStatus, ModelSummary, PutResult, VersionInfo
from wasmcloud_operator.names import FIRST_PLACE
from wasmcloud_operator.shared.context import NAMESPACE_INDEX

Json = dict[str, Any]

KEY = Key("here", "shop")
PUSH = "wadm's word about the deployed version"
WRITES = {"put", "deploy", "undeploy", "delete"}
IDLE: Json = {"status": {"type": "undeployed"}, "scalers": []}


def runs(*ids: str) -> Json:
    return {
        "status": {"type": "deployed"},
        "scalers": [{"id": one, "name": one, "kind": "SpreadScaler", "status": {"type": "deployed"}} for one in ids],
    }


def spec(image: int = 1, instances: int = 1) -> Json:
    scaler = {"type": "spreadscaler", "properties": {"instances": instances}}
    web = {"name": "web", "type": "component", "properties": {"image": f"x/web:{image}"}, "traits": [scaler]}
    return {"components": [web]}


class Wadm:
    """A wadm with one application, asked without NATS."""

    def __init__(self) -> None:
        self.versions_held: dict[str, Json] = {}
        self.running = ""
        self.pushed = IDLE
        self.asked: list[str] = []
        self.fails: dict[str, Exception] = {}
        self.on_ask: Callable[[str], None] = lambda _: None

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        self.on_ask(what)
        if what in self.fails:
            raise self.fails[what]

    async def versions(self, _: str) -> tuple[VersionInfo, ...]:
        self._ask("versions")
        return tuple(VersionInfo(version=one, deployed=one == self.running) for one in self.versions_held)

    async def get(self, name: str, version: str | None = None) -> Json:
        self._ask("get")
        if not self.versions_held:
            raise WadmNotFound(name)
        return self.versions_held[version or list(self.versions_held)[-1]]

    async def put(self, manifest: Json) -> PutResult:
        self._ask("put")
        self.versions_held[manifest["metadata"]["annotations"]["version"]] = manifest
        return PutResult(total_versions=len(self.versions_held))

    async def deploy(self, _: str, version: str | None = None) -> None:
        self._ask("deploy")
        self.running = str(version)

    async def undeploy(self, _: str) -> None:
        self._ask("undeploy")
        self.running = ""

    async def delete(self, _: str, version: str | None = None) -> bool:
        self._ask("delete")
        for one in [version] if version else list(self.versions_held):
            del self.versions_held[one]
        return True

    async def status(self, _: str) -> AppStatus:
        self._ask("status")
        return AppStatus.model_validate(self.pushed)

    @property
    def written(self) -> list[str]:
        return [one for one in self.asked if one in WRITES]


@dataclass(eq=False)
class Lattice:
    clock: VirtualClock
    address: str = "nats://a:4222"
    name: str = "one"
    hosts: Any = field(default_factory=lambda: SimpleNamespace(hosts={"N1": None}, synced=True))
    phase: ConnectionPhase = ConnectionPhase.CONNECTED
    identified: bool = True

    def __post_init__(self) -> None:
        self.route = LatticeRoute(ConnectionSpec((self.address,)), self.name)
        self.wadm = self.wadm_writer = Wadm()
        self.ledger = Ledger(self.name, clock=self.clock)
        self.ledger.take_list([], "connection")

    @property
    def identity(self) -> LatticeIdentity:
        return self.route.identity

    @property
    def connection(self) -> Any:
        state = ConnectionState(self.phase, "Lost", "nobody answers", datetime(2026, 1, 1, tzinfo=UTC))
        return SimpleNamespace(state=state, max_payload=1 << 20)


class Lattices:
    """Which lattice is held for whom."""

    def __init__(self) -> None:
        self.held: dict[str, Any] = {}

    def held_by(self, holder: str) -> Any:
        return self.held.get(holder)

    def keep(self, holder: str, lattice: Any) -> None:
        self.held[holder] = lattice

    def release(self, holder: str) -> None:
        self.held.pop(holder, None)


class Store(dict[Key, CustomResource]):
    unreadable: frozenset[Key] = frozenset()

    def __iter__(self) -> Iterator[Any]:  # a store is a row of objects
        return iter(list(self.values()))

    def by_index(self, index: str, value: str) -> list[CustomResource]:
        assert index == NAMESPACE_INDEX
        return sorted((item for item in self if item.metadata.namespace == value), key=lambda item: item.metadata.key)


class Writer:
    """Notes what is shown, and keeps the fields as the status."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.reasons: list[str] = []
        self.fields: list[Json] = []
        self.generations: list[int] = []
        self.stripped = False  # whether somebody takes the finalizer away again and again
        self.let_go: list[Key] = []
        self.often = False  # whether the status was written so often of late that only what has to be is written

    async def show(
        self, item: CustomResource, verdict: Any, pushed: Json | None = None, *, at_once: bool = False
    ) -> bool:
        if self.often and not at_once:
            return False
        self.reasons.append(verdict.reason)
        self.generations.append(item.metadata.generation)
        if pushed is not None:
            self.fields.append(pushed)
            now = self.store[item.metadata.key]
            conditions = [{"type": "Ready", "reason": verdict.reason}]
            shown = {**pushed, "message": verdict.message, "conditions": conditions}
            self.store[item.metadata.key] = replace(now, status=shown)
        return True

    async def show_leaving(self, item: CustomResource, leaving: Json) -> bool:
        now = self.store[item.metadata.key]
        rest = {name: value for name, value in cast("Json", now.status or {}).items() if name != "leaving"}
        self.store[item.metadata.key] = replace(now, status={**rest, **leaving})
        return bool(leaving)

    async def remove_finalizer(self, item: CustomResource) -> None:
        self.let_go.append(item.metadata.key)

    async def show_paused(self, item: CustomResource) -> bool:
        self.reasons.append("Paused")
        return True

    async def add_finalizer(self, item: CustomResource, first: Place) -> CustomResource:
        if self.stripped:
            return item
        now = self.store[item.metadata.key]
        annotations = now.metadata.annotations
        if not now.metadata.finalizers and place(now) is None:
            annotations = {**annotations, FIRST_PLACE: as_annotation(first, now.metadata.uid)}
        settled = replace(now.metadata, finalizers=("ours",), annotations=annotations)
        self.store[item.metadata.key] = replace(now, metadata=settled)
        return self.store[item.metadata.key]


class Site:
    """The reconciler with its places, its deletion and a ledger; the API server and wadm are in memory."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.lattice = Lattice(self.clock)
        self.store, self.configs, self.events = Store(), Store(), list[str]()
        self.pool: Any = SimpleNamespace(lattice=self.lattice, route=self.lattice.route)
        pools = SimpleNamespace(
            lattices=Lattices(),
            get=lambda _: self.pool,
            in_namespace=lambda _: [self.pool] if self.pool is not None else [],
        )
        self.selector = LatticeSelector(cast("Any", pools), cast("Any", SimpleNamespace(store=self.configs)))
        self.writer = Writer(self.store)
        self.gate = SimpleNamespace(ours=True)
        applications: Any = SimpleNamespace(store=self.store, synced_in=lambda _: True)
        owners = Owners("c1", applications)
        recorder: Any = SimpleNamespace(event=lambda *pushed, action: self.events.append(pushed[3]))
        self.woken = list[Key]()
        client: Any = SimpleNamespace()
        wake, clock = self.woken.append, self.clock
        gate = cast("Any", self.gate)
        shared: Any = {"selector": self.selector, "writer": self.writer, "recorder": recorder, "clock": clock}
        shared |= {"owners": owners, "wake": wake, "gate": gate}
        self.noted, self.on_note = list[tuple[str, ...]](), cast("Exception | None", None)
        on_purpose: Any = SimpleNamespace(add=self._note)
        self.deletion = Deletion(
            client=client,
            left=left_in_wadm(CollectorRegistry()),
            services=cast("Any", {}),
            on_purpose=on_purpose,
            **shared,
        )
        self.reconciler = ApplicationReconciler(applications=applications, deletion=self.deletion, **shared)
        self.configs[Key("here", "pool")] = CustomResource(ObjectMeta("pool", "here", "p1", "1", 1), {"lattice": "one"})
        self.application()

    async def _note(self, item: CustomResource, places: Iterable[Place]) -> None:
        if self.on_note is not None:
            raise self.on_note
        self.noted.append((item.metadata.uid, *(place.lattice for place in places)))

    @property
    def wadm(self) -> Wadm:
        return self.lattice.wadm

    def application(
        self, image: int = 1, *, instances: int = 1, generation: int = 1, status: Json | None = None, **pushed: str
    ) -> None:
        annotations = {f"k8s.wasmcloud.dev/{name.replace('_', '-')}": value for name, value in pushed.items()}
        before = self.store.get(KEY)
        kept = before.status if before is not None and status is None else status
        meta = ObjectMeta("shop", "here", "u1", "1", generation, annotations=annotations)
        self.store[KEY] = CustomResource(meta, spec(image, instances), kept)

    def left(self, *names: str) -> Json:
        """A status with lattices that it is leaving and to which nothing leads."""
        entries = [{"lattice": name, "latticeId": f"id-{name}", "hostConfig": "gone"} for name in names]
        return {"lattice": "one", "latticeId": self.lattice.identity.id, "hostConfig": "pool", "leaving": entries}

    async def look(self) -> Result:
        return await self.reconciler.reconcile(KEY)

    async def look_in(self, seconds: float) -> Result:
        await self.clock.advance(seconds)
        return await self.look()

    async def deployed(self, *ids: str) -> None:
        """Have it run, with scalers of these ids."""
        await self.look()
        self.push(runs(*ids))
        assert await self.look() == DONE
        assert self.shown == "Deployed"
        self.wadm.asked.clear()

    def push(self, pushed: Json) -> None:
        self.wadm.pushed = pushed
        self.lattice.ledger.take_event(StatusPushed("shop", AppStatus.model_validate(pushed)))

    def listed(self, kind: str = "deployed") -> None:
        """As after a start: what wadm has is known by a list alone."""
        self.lattice.ledger = Ledger("one", clock=self.clock)
        listed = {"name": "shop", "version": list(self.wadm.versions_held)[-1], "deployed_version": self.wadm.running}
        summary = ModelSummary.model_validate({**listed, "status": {"type": kind}})
        self.lattice.ledger.take_list([summary], "connection")

    @property
    def shown(self) -> str:
        return self.writer.reasons[-1] if self.writer.reasons else ""
