"""The directory of host pools: which host config is in which lattice. Filled by one reconciler, read by the others."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace

from wasmcloud_operator.kinds import HOST_CONFIG
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.connection_types import ConnectionState
from wasmcloud_operator.lattice.identity import LatticeRoute
from wasmcloud_operator.lattice.indexed import Traits
from wasmcloud_operator.lattice.lattice import Lattice
from wasmcloud_operator.lattice.lattices import Lattices


@dataclass(frozen=True, slots=True)
class Pool:
    """A host config whose connection is known: its key and uid, its route, and the lattice that its hosts join."""

    key: Key
    uid: str
    lattice: Lattice
    route: LatticeRoute


PoolListener = Callable[[Pool], None]


class Pools:
    """Host pools by key; each holds its lattice. A fresh start rebuilds it. Listeners must only enqueue."""

    def __init__(self, lattices: Lattices) -> None:
        self.lattices = lattices
        self._pools: dict[Key, Pool] = {}
        # By lattice and by namespace: every piece of a lattice's news asks for its pools.
        self._traits: Traits[Key, Hashable] = Traits()
        self._holders: dict[str, Key] = {}
        self._listeners: list[PoolListener] = []
        self._unused_listeners: list[Callable[[Lattice], None]] = []
        lattices.listen_to_moves(self._moved)

    def __repr__(self) -> str:
        return f"<Pools {', '.join(str(key) for key in self._pools)}>"

    def listen(self, listener: PoolListener) -> None:
        """Call the listener with each pool that appears, changes its lattice, or goes."""
        self._listeners.append(listener)

    def listen_to_unused(self, listener: Callable[[Lattice], None]) -> None:
        """Call the listener with each lattice that has lost its last pool."""
        self._unused_listeners.append(listener)

    def declare(self, key: Key, uid: str, route: LatticeRoute) -> Pool:
        """Say by which route a config's hosts reach their lattice; the same again changes nothing."""
        pool = Pool(key, uid, self.lattices.hold(_holder(key), route), route)
        if self._pools.get(key) != pool:
            self._put(pool)
        return pool

    def route_state(self, key: Key) -> ConnectionState | None:
        """How a pool's own route does: its lattice may be reached by another pool's meanwhile."""
        return self.lattices.route_state(_holder(key))

    def withdraw(self, key: Key) -> None:
        """The config is gone."""
        pool = self._take_out(key)
        if pool is not None:
            self.lattices.release(_holder(key))
            self._notify(pool)
            self._notify_if_unused(pool.lattice)

    def get(self, key: Key) -> Pool | None:
        """The pool of a config."""
        return self._pools.get(key)

    def all(self) -> tuple[Pool, ...]:
        """Every pool, by key."""
        return self._sorted(self._pools)

    def in_namespace(self, namespace: str) -> tuple[Pool, ...]:
        """The pools of a namespace, by name."""
        return self._sorted(self._traits.having(namespace))

    def of(self, lattice: Lattice) -> tuple[Pool, ...]:
        """The pools in a lattice, in all namespaces, by key."""
        return self._sorted(self._traits.having(lattice))

    def has(self, lattice: Lattice) -> bool:
        """Whether any pool is in a lattice."""
        return self._traits.any_has(lattice)

    def among(self, lattices: Iterable[Lattice]) -> list[Lattice]:
        """Returns the lattices that have pools, by the key of their first pool."""
        found = list(filter(self.has, lattices))
        return found if len(found) < 2 else sorted(found, key=lambda lattice: min(self._traits.having(lattice)))

    def known_as(self, lattice_id: str) -> list[Lattice]:
        """The lattices with pools that have this id among theirs, by the key of their first pool."""
        return self.among(self.lattices.known_as(lattice_id))

    def _moved(self, holder: str, lattice: Lattice) -> None:
        """A route has turned out to lead to a lattice that was known before, or to another one than before."""
        if holder in self._holders:
            self._put(replace(self._pools[self._holders[holder]], lattice=lattice))

    def _put(self, pool: Pool) -> None:
        before = self._take_out(pool.key)
        self._pools[pool.key] = pool
        self._holders[_holder(pool.key)] = pool.key
        self._traits.put(pool.key, (pool.lattice, pool.key.namespace))
        self._notify(pool)
        if before is not None:
            self._notify_if_unused(before.lattice)

    def _take_out(self, key: Key) -> Pool | None:
        pool = self._pools.pop(key, None)
        if pool is not None:
            del self._holders[_holder(key)]
            self._traits.drop(key)
        return pool

    def _sorted(self, keys: Iterable[Key]) -> tuple[Pool, ...]:
        return tuple(self._pools[key] for key in sorted(keys))

    def _notify(self, pool: Pool) -> None:
        for listener in self._listeners:
            listener(pool)

    def _notify_if_unused(self, lattice: Lattice) -> None:
        if not self.has(lattice):
            for listener in self._unused_listeners:
                listener(lattice)


def _holder(key: Key) -> str:
    return f"{HOST_CONFIG.kind} {key}"
