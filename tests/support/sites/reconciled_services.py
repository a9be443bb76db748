"""The reconciler of Services with its real parts on a scripted API server; lattices and pools are in memory."""

from __future__ import annotations

from typing import Any

from support.kube.bench import KubeBench
from support.objects.good_manifest import link as http_link
from support.sites.lattices_in_memory import Lattice, Pools
from wasmcloud_operator.expose.by_application import ByApplication
from wasmcloud_operator.expose.lattice_books import LatticeBooks
from wasmcloud_operator.expose.outcomes import Outcomes, State
from wasmcloud_operator.expose.plan import PlannedService, Record
from wasmcloud_operator.expose.queries import ServiceQueries
from wasmcloud_operator.expose.reconciler import ServiceReconciler
from wasmcloud_operator.expose.status import ExposedWriter
from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube.apply import Applier, ManagedKind
from wasmcloud_operator.kube.codec import CUSTOM_RESOURCE, UNSTRUCTURED, Codec
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import CustomResource, Pod
from wasmcloud_operator.kube.paced import PacedWrites
from wasmcloud_operator.kube.resources import POD, SERVICE, Key
from wasmcloud_operator.kube.status_part import StatusPart
from wasmcloud_operator.manifest.http_endpoints import exposure
from wasmcloud_operator.names import FINGERPRINT
from wasmcloud_operator.shared.context import NAMESPACE_INDEX, own_namespace
from wasmcloud_operator.shared.problem import Problem
from wasmcloud_operator.shared.unowned_problems import UnownedProblems

HERE, THERE = "here", "there"
SHOP = Key(HERE, "shop")


class NothingLeft:
    """The Rust operator left nothing, or a Service whose first endpoint is awaited."""

    def __init__(self) -> None:
        self.awaited = False
        self.removed: list[Key] = []

    async def eased(self, key: Key, body: Any) -> Any:
        return body

    async def clean(self, key: Key, metadata: Any) -> None:
        pass

    def has(self, key: Key) -> bool:
        return key not in self.removed

    async def remove(self, key: Key) -> None:
        self.removed.append(key)

    def due(self, key: Key) -> bool:
        return self.awaited


class NoRoutes:
    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.kept: tuple[set[str], set[str]] = (set(), set())
        self.applied: list[PlannedService] = []

    async def apply(self, planned: PlannedService, *_: Any) -> list[Any]:
        self.applied.append(planned)
        return self.problems

    async def remove(self, key: Key, services: Any, kept: Any, removable: Any) -> None:
        self.kept = {one.name for one in services}, set(kept)


class Events:
    def __init__(self) -> None:
        self.notes: list[str] = []

    def event(self, _: Any, __: Any, ___: str, ____: str, note: str, *, action: str) -> None:
        self.notes.append(note)


def spec(address: str = "0.0.0.0:8080", *, http: bool = True) -> dict[str, Any]:
    link = http_link(address=address)
    server = {"name": "server", "type": "capability", "properties": {"image": "x/http-server:1"}, "traits": [link]}
    return {"components": [server] if http else []}


class Site:
    """The reconciler on real caches of a scripted API server; two namespaces with a pool each in one lattice."""

    def __init__(self, bench: KubeBench) -> None:
        self.bench, self.api = bench, bench.api
        self.lattice, self.pools, self.events = Lattice.at(), Pools(), Events()
        services: Informer[Any] = self._informer(SERVICE, UNSTRUCTURED)
        self.configs: Informer[CustomResource] = self._informer(HOST_CONFIG, CUSTOM_RESOURCE)
        self.applications: Informer[CustomResource] = self._informer(APPLICATION, CUSTOM_RESOURCE)
        owned = ByApplication(services, lambda *_: None)
        self.queries = ServiceQueries(
            pools=self.pools,
            books=LatticeBooks(self.pools.has),
            configs=self.configs,
            services=services,
            by_application=owned,
            applications=self.applications,
            deployed=lambda *_: None,
        )
        self.outcomes = Outcomes(lambda _: None)
        self.unowned = UnownedProblems()
        self.rust, self.routes = NothingLeft(), NoRoutes()
        self.reconciler = ServiceReconciler(
            queries=self.queries,
            services=ManagedKind(SERVICE, services),
            owned=owned,
            routes=self.routes,
            rust=self.rust,
            applier=Applier(bench.client, FINGERPRINT),
            client=bench.client,
            recorder=self.events,
            outcomes=self.outcomes,
            unowned=self.unowned,
        )
        pods: Informer[Any] = self._informer(POD, Codec.of(Pod))
        self.statuses = ExposedWriter(
            queries=self.queries,
            part=StatusPart(
                resource=APPLICATION,
                codec=CUSTOM_RESOURCE,
                paced=PacedWrites(bench.client, clock=bench.clock),
                client=bench.client,
            ),
            applications=self.applications,
            pods=pods,
            outcomes=self.outcomes,
            recorder=self.events,
            clock=bench.clock,
        )
        self.informers = (services, self.configs, self.applications, pods)
        for namespace in (HERE, THERE):
            self.config(namespace, "pool")
            self.pools.add(Key(namespace, "pool"), self.lattice)

    def _informer(self, resource: Any, codec: Any) -> Informer[Any]:
        made: Informer[Any] = Informer.on_api(
            self.bench.client,
            resource,
            codec,
            clock=self.bench.clock,
            metrics=self.bench.metrics,
            indexers={NAMESPACE_INDEX: own_namespace},
        )
        self.bench.start(made.run())
        return made

    async def begin(self) -> None:
        await self.bench.clock.until(lambda: all(informer.synced for informer in self.informers))

    def config(self, namespace: str, name: str, lattice: str = "default", **annotations: str) -> None:
        metadata = {"name": name, "namespace": namespace, "annotations": annotations}
        self.api.put(HOST_CONFIG, {"metadata": metadata, "spec": {"lattice": lattice}})

    def application(
        self,
        made: dict[str, Any] | None = None,
        *,
        deleting: bool = False,
        at: Lattice | None = None,
        namespace: str = HERE,
        **annotations: str,
    ) -> None:
        metadata: dict[str, Any] = {"name": "shop", "namespace": namespace, "annotations": annotations}
        if deleting:
            metadata["deletionTimestamp"] = "2026-03-01T12:00:00Z"
        status = {"lattice": at.name, "latticeId": at.identity.id} if at is not None else {}
        self.api.put(
            APPLICATION, {"metadata": metadata, "spec": made if made is not None else spec(), "status": status}
        )

    def deployed(self, made: dict[str, Any] | None, *, owned: bool = True, **annotations: str) -> None:
        """What wadm runs now."""
        record = None
        if made is not None:
            found = exposure({"metadata": {"name": "shop"}, "spec": made})
            record = Record(
                application="shop", version="v1", exposure=found, owner=SHOP if owned else None, annotations=annotations
            )
        self.queries.book(self.lattice).put("shop", record)

    async def look(self, key: Key = SHOP) -> dict[str, Any]:
        """Every Service by name, after a look at an application in a namespace."""
        await self.bench.clock.advance(1)  # what was written before is in the caches
        self.result = await self.reconciler.reconcile(key)
        await self.bench.clock.advance(1)
        return {found.name: body for found, body in self.api.all(SERVICE).items() if found.namespace == key.namespace}

    def states(self, key: Key = SHOP) -> list[tuple[str, State]]:
        outcome = self.outcomes.get(key)
        return [(made.name, made.state) for made in outcome.services] if outcome is not None else []


def owners(service: dict[str, Any]) -> set[str]:
    return {owner["kind"] for owner in service["metadata"]["ownerReferences"]}
