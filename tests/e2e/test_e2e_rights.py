"""Roles alone: journeys once more, of an operator that follows named namespaces and has no right in the cluster.

Every other journey runs with the ClusterRole of manifests/base. These change the installation, so they run last.
"""

from __future__ import annotations

import pytest
from e2ereport import Notes
from e2etogether import together
from e2ewatched import may
from e2eworld import World
from test_e2e_change import change_under_load
from test_e2e_delete import ORDERS, Order, delete_in_order
from test_e2e_quickstart import quickstart

# A namespace that is deleted takes the operator's Role with it at the same time as the Applications, so those have to
# be deleted themselves: the README says so.
_ORDERS = [order for order in ORDERS if "application" in order]

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.journey("7 with Roles alone: quickstart")
@together("watched")
async def test_quickstart_with_roles(world: World, place: str, notes: Notes) -> None:
    assert await may(world, "list", "pods", place)
    assert not await may(world, "list", "pods", "default")
    assert not await may(world, "get", "namespaces", place)
    await quickstart(world, place, notes)


@pytest.mark.journey("7 with Roles alone: rolling change under load")
@together("watched")
async def test_change_with_roles(world: World, place: str, notes: Notes) -> None:
    await change_under_load(world, place, notes)


@pytest.mark.parametrize("order", _ORDERS, ids=" then ".join)
@pytest.mark.journey("7 with Roles alone: delete")
@together("watched")
async def test_delete_with_roles(world: World, place: str, order: Order, notes: Notes) -> None:
    await delete_in_order(world, place, order, notes)
