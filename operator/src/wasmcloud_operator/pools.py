"""The directory of host pools: which host config is in which lattice. Filled by one reconciler, read by the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wasmcloud_operator.kinds import HOST_CONFIG
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.lattices import Lattice, LatticeKey, Lattices


@dataclass(frozen=True, slots=True)
class Pool:
    """A host config whose connection is known: its key and uid, and the lattice that its hosts join."""

    key: Key
    uid: str
    lattice: Lattice


PoolListener = Callable[[Pool], None]


class Pools:
    """Host pools by key; each holds its lattice. A fresh start rebuilds it. Listeners must only enqueue."""

    def __init__(self, lattices: Lattices) -> None:
        self.lattices = lattices
        self._pools: dict[Key, Pool] = {}
        self._listeners: list[PoolListener] = []

    def __repr__(self) -> str:
        return f"<Pools {', '.join(str(key) for key in self._pools)}>"

    def listen(self, listener: PoolListener) -> None:
        """Be told of each pool that appears, changes its lattice, or goes."""
        self._listeners.append(listener)

    def declare(self, key: Key, uid: str, lattice_key: LatticeKey) -> Pool:
        """Say in which lattice a config's hosts are; the same again changes nothing."""
        pool = Pool(key, uid, self.lattices.hold(_holder(key), lattice_key))
        if self._pools.get(key) != pool:
            self._pools[key] = pool
            self._tell(pool)
        return pool

    def withdraw(self, key: Key) -> None:
        """The config is gone."""
        pool = self._pools.pop(key, None)
        if pool is not None:
            self.lattices.release(_holder(key))
            self._tell(pool)

    def get(self, key: Key) -> Pool | None:
        """The pool of a config."""
        return self._pools.get(key)

    def all(self) -> tuple[Pool, ...]:
        """Every pool, by key."""
        return tuple(self._pools[key] for key in sorted(self._pools))

    def in_namespace(self, namespace: str) -> tuple[Pool, ...]:
        """The pools of a namespace, by name."""
        return tuple(pool for pool in self.all() if pool.key.namespace == namespace)

    def of(self, lattice: Lattice) -> tuple[Pool, ...]:
        """The pools in a lattice, in all namespaces."""
        return tuple(pool for pool in self.all() if pool.lattice is lattice)

    def _tell(self, pool: Pool) -> None:
        for listener in self._listeners:
            listener(pool)


def _holder(key: Key) -> str:
    return f"{HOST_CONFIG.kind} {key}"
