"""The wadm that `make matrix` has chosen: the client and the Application reconciler against a real one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from support.operators.in_process import RunningOperator
from support.sites.applications import APP, Site, conditions
from support.wadm.conversation import MINOR, VERSION, converse, recorded
from testbed import Admin, ControlPlane, NatsServer, Server, Wadm, eventually
from testbed.waiting import in_one_task
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.lattice.connection_pool import ConnectionPool
from wasmcloud_operator.lattice.spec import ConnectionSpec
from wasmcloud_operator.lattice.testing import LatticeHost, SharedLattice
from wasmcloud_operator.lattice.wadm import WadmWriter


async def test_it_answers_as_it_was_recorded(own_nats: NatsServer, tmp_path: Path) -> None:
    async with (
        Wadm.start(tmp_path / "wadm", own_nats.url),
        LatticeHost.running(own_nats.url, SharedLattice(), heartbeat=3.0),
        in_one_task(ConnectionPool()) as pool,
    ):
        connection = pool.acquire(ConnectionSpec((own_nats.url,))).connection
        await eventually(lambda: connection.state.connected)
        live = await converse(WadmWriter(connection, "default", gate=AlwaysOpen(), timeout=60))
    assert live == await converse(WadmWriter(recorded(VERSION), "default", gate=AlwaysOpen()))


@pytest_asyncio.fixture
async def site(admin: Admin, crds: ControlPlane, nats_server: NatsServer, wadm: Server) -> AsyncIterator[Site]:
    async with RunningOperator.start(crds, services=False), Site.open(admin, nats_server) as opened:
        yield opened


async def test_from_apply_over_changes_to_nothing(site: Site) -> None:
    async with site.host() as host:
        await site.create()
        app = await site.phase("Deployed")
        first = app["status"]["deployedVersion"]
        assert conditions(app) == {
            "Ready": "True",
            "Reconciling": "False",
            "Stalled": "False",
            "Synced": "True",
            "LatticeConnected": "True",
        }
        await _is_run(host, "x/web:1")

        await site.change("x/web:2")
        second = (await site.phase("Deployed"))["status"]["deployedVersion"]
        # wadm 0.12 never replaces the image of a running component
        await _is_run(host, "x/web:1" if MINOR < 13 else "x/web:2")
        assert await site.versions() == {first: False, second: True}

        await site.change("x/web:1")
        assert (await site.phase("Deployed"))["status"]["deployedVersion"] == first
        await _is_run(host, "x/web:1")

        await site.admin.delete(APP, "hello", site.namespace)
        await site.gone()
        await eventually(lambda: not host.components)
    assert (await site.wadm("get.hello", {}))["result"] == "notfound"


async def test_changes_by_others_in_wadm_are_undone(site: Site) -> None:
    async with site.host():
        await site.create()
        version = (await site.phase("Deployed"))["status"]["deployedVersion"]
        await site.wash_put(version="w1", image="x/web:9")
        for operation in ("deploy.hello", "undeploy.hello"):
            answer = await site.wadm(operation, {"version": "w1"} if operation.startswith("deploy") else {})
            assert answer["result"] == "acknowledged"

            async def as_before() -> bool:
                return (await site.versions()).get(version, False)

            await eventually(as_before, timeout=60)
        assert (await site.wadm("del.hello", {}))["result"] == "deleted"
        await eventually(as_before, timeout=60)


async def test_without_hosts_it_waits_and_runs_when_there_is_one(site: Site) -> None:
    await site.create()
    await site.deployed()
    assert (await site.get())["status"]["phase"] == "Reconciling"
    async with site.host() as host:
        await site.phase("Deployed")
        await _is_run(host, "x/web:1")


async def test_a_component_id_that_another_application_has_is_refused_where_wadm_looks(site: Site) -> None:
    await site.create("first", id="one-for-all")
    await site.deployed("first")
    await site.create("second", id="one-for-all")
    if MINOR < 13:
        await site.deployed("second")
    else:
        await site.phase("Failed", "second", reason="DeployRejected")
        await site.admin.delete(APP, "first", site.namespace)
        await site.deployed("second")


async def _is_run(host: LatticeHost, image: str) -> None:
    """wadm before 0.14 calls deployed what it only has asked the hosts for."""
    if MINOR < 14:
        await eventually(lambda: _images(host) == [image])
    assert _images(host) == [image]


def _images(host: LatticeHost) -> list[str]:
    return sorted(about["image_ref"] for about in host.components.values())
