"""What happens to one tenant costs the same however much the others have: counted in instructions, not in seconds."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any
from unittest.mock import Mock

import pytest

from support.hostile.work import at_once, instructions
from support.objects.hostpools import NewsByHand, PodsByHand
from wasmcloud_operator.base.clock import SYSTEM_CLOCK
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.expose import naming
from wasmcloud_operator.expose.by_application import ByApplication
from wasmcloud_operator.expose.lattice_books import LatticeBooks
from wasmcloud_operator.expose.plan import Claim, Record
from wasmcloud_operator.expose.queries import ServiceQueries
from wasmcloud_operator.kube.codec import CUSTOM_RESOURCE, UNSTRUCTURED, Codec
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.objects import CustomResource, Metadata, ObjectMeta, Unstructured
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.connection_types import ServerInfo
from wasmcloud_operator.lattice.identity import LatticeRoute
from wasmcloud_operator.lattice.lattices import Lattices
from wasmcloud_operator.lattice.spec import ConnectionSpec
from wasmcloud_operator.legacy.services import RustServices
from wasmcloud_operator.manifest.http_endpoints import Exposure
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.context import NAMESPACE_INDEX, own_namespace
from wasmcloud_operator.shared.hosts_in_pods import HostsInPods
from wasmcloud_operator.shared.pools import Pools
from wasmcloud_operator.shared.problem import Problem
from wasmcloud_operator.shared.unowned_problems import UnownedProblems

FEW, MANY = 60, 120
US, POOL = Key("friendly", "pool"), "pool"


def route(number: int, name: str = "default") -> LatticeRoute:
    return LatticeRoute(ConnectionSpec((f"nats://127.0.0.1:{number + 1}",)), name)


OURS, LATER = route(60_000), route(60_001)


class Neighbours:
    """The operator's memory with so many other tenants in it, each with a pool, an Application and a Service."""

    def __init__(self, lattices: Lattices, others: int) -> None:
        self.lattices, self.pools = lattices, Pools(lattices)
        self.configs: Informer[CustomResource] = _informer(CUSTOM_RESOURCE)
        self.services: Informer[Unstructured] = _informer(UNSTRUCTURED)
        self.owned = ByApplication(self.services, lambda *_: None)
        books = LatticeBooks(self.pools.has)
        self.queries = ServiceQueries(
            pools=self.pools,
            books=books,
            configs=self.configs,
            services=self.services,
            by_application=self.owned,
            applications=None,
            deployed=lambda *_: None,
        )
        self.slices: Informer[Metadata] = _informer(Codec.of(Metadata))
        self.rust = RustServices(Mock(), self.services, _informer(Codec.of(Metadata)), self.slices, lambda _: True)
        self.unowned = UnownedProblems()
        self.pods, self.news = PodsByHand(), NewsByHand()
        self.hosts_in_pods = HostsInPods(self.pods, self.news)
        for number in range(others):
            self._add(Key(f"unfriendly-{number}", POOL), route(number), f"S{number}")
        self._add(US, OURS, "S")

    def _add(self, key: Key, leads: LatticeRoute, server: str) -> None:
        lattice = self.pools.declare(key, f"uid-{key}", leads).lattice
        at_once(self.lattices._learnt(leads, ServerInfo(server), "A"))
        self.configs.offer(CustomResource(_metadata(key), {"lattice": "default"}, None))
        self.services.offer(Unstructured(_service(Key(key.namespace, "hello")), {}))
        self.slices.offer(
            Metadata(_metadata(Key(key.namespace, "left"), labels={"kubernetes.io/service-name": "left"}))
        )
        self.queries.book(lattice).put(
            "hello", Record(application="hello", version="v1", exposure=Exposure(()), owner=Key(key.namespace, "hello"))
        )
        self.unowned.put(Key(key.namespace, "hello"), [(lattice, Problem(Reason.UNKNOWN, "", "a problem"))])
        self.pods.add(key.namespace, "pool-0", POOL)
        self.hosts_in_pods.host_in(self.pods.store.get(Key(key.namespace, "pool-0")), lattice)

    @property
    def lattice(self) -> Any:
        pool = self.pools.get(US)
        assert pool is not None
        return pool.lattice


def _metadata(key: Key, **fields: Any) -> ObjectMeta:
    return ObjectMeta(key.name, key.namespace, f"uid-{key}", "1", **fields)


def _service(key: Key) -> ObjectMeta:
    labels = {naming.COMPONENT_LABEL: naming.HTTP_COMPONENT}
    return _metadata(
        key, labels=labels, annotations={naming.APPLICATION: "hello", naming.APPLICATION_NAMESPACE: key.namespace}
    )


def _informer(codec: Codec[Any]) -> Informer[Any]:
    indexers = {NAMESPACE_INDEX: own_namespace}
    return Informer("test", lambda _: None, codec, clock=SYSTEM_CLOCK, metrics=Metrics(), indexers=indexers)


@contextlib.asynccontextmanager
async def neighbours(others: int) -> AsyncIterator[Neighbours]:
    async with Lattices(gate=AlwaysOpen()) as lattices:
        yield Neighbours(lattices, others)


def a_pod_comes_and_goes(of: Neighbours) -> None:
    of.pods.add(US.namespace, "pool-1", POOL)
    of.pods.remove(US.namespace, "pool-1")


STEPS: dict[str, Callable[[Neighbours], object]] = {
    "a pool is declared again": lambda of: of.pools.declare(US, f"uid-{US}", OURS),
    "a pool is declared": lambda of: of.pools.declare(Key("friendly", "second"), "uid-second", LATER),
    "a pool gets another route": lambda of: of.pools.declare(US, f"uid-{US}", LATER),
    "a pool goes": lambda of: of.pools.withdraw(US),
    "a pool moves": lambda of: of.pools._moved(f"WasmCloudHostConfig {US}", of.lattice),
    "a lattice is kept": lambda of: of.lattices.keep("Application friendly/hello", of.lattice),
    "a lattice is released": lambda of: of.lattices.release("Application friendly/hello"),
    "who holds a lattice": lambda of: of.lattices.holders(of.lattice),
    "a route connects": lambda of: at_once(of.lattices._learnt(OURS, ServerInfo("S"), "A")),
    "a lattice by its id": lambda of: of.pools.known_as(of.lattice.identity.id),
    "what is deployed of an Application": lambda of: list(of.queries.records_of(Key(US.namespace, "hello"))),
    "whether all pools of a namespace are declared": lambda of: of.queries.undecided(US.namespace),
    "a claim": lambda of: of.queries.current(Claim("hello", of.lattice.identity.id, "default", US.namespace)),
    "the applications of a namespace": lambda of: of.owned.applications(US.namespace),
    "the namespaces of an Application's Services": lambda of: of.owned.namespaces(Key(US.namespace, "hello")),
    "a Service changes": lambda of: of.services.offer(Unstructured(_service(Key(US.namespace, "other")), {})),
    "what an earlier operator left in a namespace": lambda of: list(of.rust.left(US.namespace)),
    "whether an earlier operator left a Service": lambda of: of.rust.unfinished(Key(US.namespace, "hello")),
    "problems without an owner": lambda of: of.unowned.of(US.namespace, of.lattice),
    "a problem without an owner comes": lambda of: of.unowned.put(Key(US.namespace, "new"), ()),
    "the pods of a pool": lambda of: of.hosts_in_pods.pods_of(US),
    "a pod comes and goes": a_pod_comes_and_goes,
}


@pytest.mark.parametrize("step", STEPS)
async def test_a_step_costs_the_same_beside_twice_as_many_neighbours(step: str) -> None:
    counts = []
    for others in (FEW, FEW, MANY):
        async with neighbours(others) as made:
            counts.append(instructions(lambda made=made: STEPS[step](made)))
    _, few, many = counts  # since 3.14 Python prepares code to be counted in its first run, and misses part of that
    assert few > 10
    assert many < few + FEW / 2, f"{few} instructions beside {FEW}, {many} beside {MANY}"
