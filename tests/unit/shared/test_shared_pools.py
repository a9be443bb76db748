"""The directory of host pools: what it says of namespaces and lattices after any moves."""

from __future__ import annotations

import pytest

from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.identity import LatticeRoute
from wasmcloud_operator.lattice.lattices import Lattices
from wasmcloud_operator.lattice.spec import ConnectionSpec
from wasmcloud_operator.shared.pools import Pool, Pools

ONE = LatticeRoute(ConnectionSpec(("nats://127.0.0.1:1",)), "one")
OTHER = LatticeRoute(ConnectionSpec(("nats://127.0.0.1:2",)), "one")  # the same name on another NATS system
A, B = Key("a", "pool"), Key("b", "pool")


async def test_pools_are_found_by_lattice_and_namespace() -> None:
    async with Lattices(gate=AlwaysOpen()) as lattices:
        pools = Pools(lattices)
        first, second = pools.declare(A, "uid-a", ONE), pools.declare(B, "uid-b", OTHER)
        assert first.lattice is not second.lattice
        assert pools.of(first.lattice) == (first,)
        assert pools.in_namespace("b") == (second,)
        assert pools.all() == (first, second)


async def test_a_pool_that_moves_is_in_one_lattice_only() -> None:
    async with Lattices(gate=AlwaysOpen()) as lattices:
        pools = Pools(lattices)
        before = pools.declare(A, "uid-a", ONE).lattice
        pools.declare(B, "uid-b", ONE)
        moved = pools.declare(A, "uid-a", OTHER)
        assert [pool.key for pool in pools.of(before)] == [B]
        assert pools.of(moved.lattice) == (moved,)


async def test_a_lattice_ends_with_its_last_pool() -> None:
    async with Lattices(gate=AlwaysOpen()) as lattices:
        pools = Pools(lattices)
        pools.declare(A, "uid-a", ONE)
        pools.declare(B, "uid-b", ONE)
        pools.withdraw(A)
        assert len(pools.lattices.all) == 1
        pools.withdraw(B)
        assert pools.lattices.all == ()
        assert pools.all() == pools.in_namespace("a") == ()


async def test_listeners_hear_of_changes_and_of_nothing_else() -> None:
    async with Lattices(gate=AlwaysOpen()) as lattices:
        pools = Pools(lattices)
        heard: list[Pool] = []
        pools.listen(heard.append)
        pools.declare(A, "uid-a", ONE)
        pools.declare(A, "uid-a", ONE)
        assert len(heard) == 1
        pools.declare(A, "uid-of-a-new-config", ONE)
        pools.withdraw(A)
        pools.withdraw(A)
        assert len(heard) == 3


@pytest.mark.parametrize("key", [A, B])
async def test_a_pool_that_was_never_declared_is_not_there(key: Key) -> None:
    async with Lattices(gate=AlwaysOpen()) as lattices:
        pools = Pools(lattices)
        assert pools.get(key) is None
        assert pools.in_namespace(key.namespace) == ()
