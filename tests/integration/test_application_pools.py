"""What becomes of applications when the host pool is paused, or reaches its lattice by more addresses."""

from __future__ import annotations

from support.operators.in_process import RunningOperator
from support.sites.applications import APP, CONFIG, Site, host_config, impatient
from testbed import Admin, ControlPlane, NatsServer, Server
from testbed.admin import Object, condition, is_true


async def test_a_paused_pool_has_its_applications_deployed_also_after_a_restart(
    admin: Admin, crds: ControlPlane, nats_server: NatsServer, wadm: Server
) -> None:
    with impatient():
        async with Site.open(admin, nats_server) as site:
            async with RunningOperator.start(crds, watch_namespaces=site.namespace):
                await site.create()
                await site.deployed()
                await admin.patch(CONFIG, "pool", site.namespace, annotated("true"))
                await admin.wait_for(CONFIG, "pool", site.namespace, lambda pool: is_true(pool, "Paused"))
            async with RunningOperator.start(crds, watch_namespaces=site.namespace):
                await site.change("x/web:2")
                await site.deployed()
                await admin.delete(APP, "hello", site.namespace)
                await site.gone()
                assert (await site.wadm("get.hello", {}))["result"] == "notfound"


async def test_one_more_address_moves_no_application(
    admin: Admin, crds: ControlPlane, nats_server: NatsServer, wadm: Server
) -> None:
    with impatient():
        async with (
            Site.open(admin, nats_server) as site,
            RunningOperator.start(crds, watch_namespaces=site.namespace),
        ):
            await site.create()
            before = (await site.deployed())["status"]["deployedVersion"]
            more = f"{nats_server.url},{nats_server.url.replace('127.0.0.1', 'localhost')}"
            spec = host_config(site.namespace, site.lattice, more)["spec"]
            await admin.patch(CONFIG, "pool", site.namespace, {"spec": spec})
            await admin.wait_for(CONFIG, "pool", site.namespace, reached_by_both)
            await site.change("x/web:2")
            after = (await site.deployed())["status"]["deployedVersion"]
            assert before != after
            assert set(await site.versions()) == {before, after}, "what was there before is there still"
            assert "Moved" not in await site.events()
            await admin.delete(APP, "hello", site.namespace)
            await site.gone()


def annotated(value: str) -> Object:
    return {"metadata": {"annotations": {"k8s.wasmcloud.dev/paused": value}}}


def reached_by_both(pool: Object | None) -> bool:
    connected = condition(pool, "LatticeConnected") or {}
    return connected.get("status") == "True" and connected.get("observedGeneration") == 2
