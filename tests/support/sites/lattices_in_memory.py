"""Lattices without a connection and the pools in them, as much of both as Services need."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.control import Link
from wasmcloud_operator.lattice.host_types import Host
from wasmcloud_operator.lattice.identity import LatticeIdentity, LatticeRoute
from wasmcloud_operator.lattice.ledger import ListState
from wasmcloud_operator.lattice.spec import ConnectionSpec
from wasmcloud_operator.lattice.wadm_types import ModelSummary
from wasmcloud_operator.shared.pools import Pool


@dataclass
class Listed:
    """What wadm has, as it listed it last."""

    listed: tuple[ModelSummary, ...] | None = ()
    listing: ListState = ListState.CURRENT

    @property
    def deployed_versions(self) -> dict[str, str]:
        return {app.name: app.deployed_version for app in self.listed or ()}


@dataclass
class Hosts:
    hosts: dict[str, Host] = field(default_factory=dict)
    synced: bool = True
    settled: bool = True


@dataclass
class Links:
    """The lattice's links, and those that were put."""

    known: tuple[Link, ...] = ()
    put: list[Link] = field(default_factory=list)

    async def links(self) -> tuple[Link, ...]:
        return self.known

    async def put_link(self, link: Link) -> None:
        self.put.append(link)


@dataclass(eq=False)
class Lattice:
    route: LatticeRoute
    hosts: Hosts = field(default_factory=Hosts)
    ledger: Listed = field(default_factory=Listed)
    control: Links = field(default_factory=Links)

    @classmethod
    def at(cls, url: str = "nats://a:4222", name: str = "default") -> Lattice:
        return cls(LatticeRoute(ConnectionSpec((url,)), name))

    @property
    def name(self) -> str:
        return self.route.name

    @property
    def control_writer(self) -> Links:
        return self.control

    @property
    def identity(self) -> LatticeIdentity:
        return self.route.identity


class Pools:
    def __init__(self) -> None:
        self.held: dict[Key, Pool] = {}

    def add(self, key: Key, lattice: Lattice) -> None:
        self.held[key] = Pool(key, f"uid-{key.namespace}-{key.name}", lattice, lattice.route)

    def get(self, key: Key) -> Pool | None:
        return self.held.get(key)

    def all(self) -> tuple[Pool, ...]:
        return tuple(self.held.values())

    def in_namespace(self, namespace: str) -> tuple[Pool, ...]:
        return tuple(pool for pool in self.all() if pool.key.namespace == namespace)

    def of(self, lattice: Any) -> tuple[Pool, ...]:
        return tuple(pool for pool in self.all() if pool.lattice is lattice)

    def has(self, lattice: Any) -> bool:
        return bool(self.of(lattice))

    def known_as(self, lattice_id: str) -> list[Any]:
        return [pool.lattice for pool in self.all() if lattice_id in pool.lattice.identity.ids]

    def among(self, lattices: Any) -> list[Any]:
        return [lattice for lattice in lattices if self.has(lattice)]
