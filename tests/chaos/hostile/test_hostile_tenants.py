"""One operator with an unfriendly tenant and a friendly one: the friendly one is served, and nothing stays behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.hostile.attacks import ATTACKS, made_up_hosts
from support.hostile.trial import Trial, withstands
from support.sites.hostpools import shown
from testbed import Admin, ControlPlane, Kwok, NatsServer, Server, eventually


@pytest.mark.parametrize("attack", ATTACKS)
async def test_others_are_served_as_before_and_after_a_restart_in_the_middle(
    crds: ControlPlane, kwok: Kwok, wadm: Server, nats_server: NatsServer, admin: Admin, tmp_path: Path, attack: str
) -> None:
    async with Trial.open(crds, admin, nats_server, tmp_path) as trial:
        await withstands(trial, ATTACKS[attack])


async def test_made_up_hosts_are_counted_where_the_tenant_looks(
    crds: ControlPlane, kwok: Kwok, wadm: Server, nats_server: NatsServer, admin: Admin, tmp_path: Path
) -> None:
    async with Trial.open(crds, admin, nats_server, tmp_path) as trial, made_up_hosts(trial):

        async def counted() -> bool:
            status = await shown(admin, trial.namespace, "pool", LatticeConnected="True")
            (connected,) = [one for one in status["conditions"] if one["type"] == "LatticeConnected"]
            return "times or more something was left out" in connected["message"]

        await eventually(counted)
