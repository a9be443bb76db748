"""Roles alone: the journeys once more, of an operator that follows named namespaces and has no right in the cluster.

Every other journey runs with the ClusterRole of manifests/base. These change the installation, so they run last.
"""

from __future__ import annotations

from functools import partial

import pytest
import test_e2e_absence as absence
import test_e2e_change as change
import test_e2e_delete as delete
import test_e2e_placement as placement
import test_e2e_pools as pools
import test_e2e_quickstart as quickstart
import test_e2e_rotation as rotation
import test_e2e_wash as wash
from e2ereport import Notes
from e2etogether import Journey, together
from e2ewatched import may
from e2eworld import World

pytestmark = pytest.mark.asyncio(loop_scope="session")


def again(title: str, journey: Journey) -> object:
    return pytest.param(journey, id=title, marks=pytest.mark.journey(f"7 with Roles alone: {title}"))


async def rights(world: World, place: str, notes: Notes) -> None:
    """What the operator may do: its namespaces, and nothing of the cluster."""
    assert await may(world, "list", "pods", place)
    assert not await may(world, "list", "pods", "default")
    assert not await may(world, "get", "namespaces", place)


def deleted(*order: str) -> object:
    """A namespace that is deleted takes the operator's Role with it at the same time as the Applications, so here those
    have to be deleted themselves: the README says so.
    """
    assert "application" in order
    return again(f"delete {' then '.join(order)}", partial(delete.delete_in_order, order=order))


@pytest.mark.parametrize(
    "journey",
    [
        again("spreadscaler on 1 of 3 hosts: traffic moves", placement.test_traffic_moves.journey),
        again("quickstart", quickstart.test_quickstart.journey),
        again("rotated NATS creds", rotation.test_nats_creds_are_rotated.journey),
        again("rotated registry password", rotation.test_registry_password_is_rotated.journey),
        again("scale, Deployment → DaemonSet → Deployment", pools.test_scale_and_toggle.journey),
        again("daemonscaler with host labels", placement.test_only_the_chosen_pool_serves.journey),
        again("wash over NATS: a Service without an Application", wash.test_a_service_appears.journey),
        # not among the first: beside the quickstart, whose hosts compile on both cores, it would measure that
        again("rolling change of two hosts under constant load", change.test_no_request_is_lost.journey),
        again("what the operator may do", rights),
        *(deleted(*order) for order in delete.ORDERS if "application" in order),
        again("pool and application deleted while wadm is away", delete.test_wadm_is_away.journey),
    ],
)
@together("watched")
async def test_with_roles(world: World, place: str, notes: Notes, journey: Journey) -> None:
    await journey(world=world, place=place, notes=notes)


@pytest.mark.journey("7 with Roles alone: operator away for a minute")
@together("watched", alone=True)
async def test_absence_with_roles(world: World, place: str, notes: Notes) -> None:
    await absence.test_operator_is_killed.journey(world=world, place=place, notes=notes)
