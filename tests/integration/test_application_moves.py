"""Applications on their way between lattices, routes and owners: nothing is lost, doubled or left behind untold."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from support.operators.in_process import RunningOperator
from support.sites.applications import APP, CONFIG, Site, application, conditions, host_config, impatient, why
from testbed import Admin, ControlPlane, NatsServer, Server, eventually, is_true
from testbed.admin import Object, condition

OWN = "k8s.wasmcloud.dev"


@pytest.fixture(autouse=True)
def _impatient() -> Iterator[None]:
    with impatient():
        yield


async def test_an_address_that_is_spelled_otherwise_changes_nothing(
    admin: Admin, crds: ControlPlane, nats_server: NatsServer, wadm: Server
) -> None:
    async with Site.open(admin, nats_server) as site, operator_of(crds, site):
        await site.create()
        before = (await site.deployed())["status"]
        asked: list[str] = []

        async def on_request(message: Any) -> None:
            asked.append(message.subject.split(".")[4])

        await site.client.subscribe(f"wadm.api.{site.lattice}.model.>", cb=on_request)
        spelled = nats_server.url.replace("127.0.0.1", "localhost")
        await admin.patch(CONFIG, "pool", site.namespace, {"spec": {"natsAddress": spelled}})
        await admin.wait_for(CONFIG, "pool", site.namespace, lambda pool: connected_by(pool, "localhost"))
        await site.change("x/web:2")
        after = (await site.deployed())["status"]
        assert after["deployedVersion"] != before["deployedVersion"]
        assert after["lattice"] == before["lattice"]
        assert not {"undeploy", "del"} & set(asked)
        assert asked.count("deploy") == 1, "only for the change"


@pytest.mark.parametrize("change", ["edit", "delete"])
async def test_an_address_that_is_spelled_otherwise_after_a_restart_changes_nothing(
    admin: Admin, crds: ControlPlane, nats_server: NatsServer, wadm: Server, change: str
) -> None:
    async with Site.open(admin, nats_server) as site:
        async with former_operator(crds, site):
            await site.create()
            before = (await site.deployed())["status"]
        spelled = nats_server.url.replace("127.0.0.1", "localhost")
        await admin.patch(CONFIG, "pool", site.namespace, {"spec": {"natsAddress": spelled}})
        if change == "delete":
            await admin.delete(APP, "hello", site.namespace)
        async with operator_of(crds, site):
            if change == "edit":
                await site.change("x/web:2")
                after = (await site.deployed())["status"]
                assert after["latticeId"] != before["latticeId"]
                assert "leaving" not in after
                await admin.delete(APP, "hello", site.namespace)
            await site.gone()
            assert (await site.wadm("get.hello", {}))["result"] == "notfound"


async def test_a_lattice_that_was_renamed_while_the_operator_was_down_is_left(
    admin: Admin, crds: ControlPlane, nats_server: NatsServer, wadm: Server
) -> None:
    async with Site.open(admin, nats_server) as site:
        async with former_operator(crds, site):
            await site.create()
            await site.create("going")
            await site.deployed()
            await site.deployed("going")
        other = f"{site.lattice}-b"
        await admin.patch(CONFIG, "pool", site.namespace, {"spec": {"lattice": other}})
        await admin.delete(APP, "going", site.namespace)
        async with operator_of(crds, site):
            await site.gone("going")
            moved = await site.reaches(lambda obj: obj["status"]["lattice"] == other and "leaving" not in obj["status"])
            assert "deployedVersion" in moved["status"]
            for name in ("hello", "going"):
                assert (await site.wadm(f"get.{name}", {}))["result"] == "notfound", name
            assert (await site.wadm("get.hello", {}, other))["result"] == "success"
            await admin.delete(APP, "hello", site.namespace)
            await site.gone()
            assert (await site.wadm("get.hello", {}, other))["result"] == "notfound"


async def test_a_finalizer_that_was_taken_away_is_put_back(
    admin: Admin, crds: ControlPlane, nats_server: NatsServer, wadm: Server
) -> None:
    async with Site.open(admin, nats_server) as site, operator_of(crds, site):
        await site.create()
        await site.deployed()
        await site.patch({"metadata": {"finalizers": None}})
        await site.reaches(lambda obj: f"{OWN}/application" in obj["metadata"].get("finalizers", ()))
        await admin.delete(APP, "hello", site.namespace)
        await site.gone()
        assert (await site.wadm("get.hello", {}))["result"] == "notfound"


async def test_an_orphan_that_is_applied_again_goes_with_its_resource(
    admin: Admin, crds: ControlPlane, nats_server: NatsServer, wadm: Server
) -> None:
    async with Site.open(admin, nats_server) as site, operator_of(crds, site):
        await site.create(annotations={f"{OWN}/deletion-policy": "Orphan"})
        await site.deployed()
        await admin.delete(APP, "hello", site.namespace)
        await site.gone()
        await site.create()
        await site.deployed()
        await admin.delete(APP, "hello", site.namespace)
        await site.gone()
        assert (await site.wadm("get.hello", {}))["result"] == "notfound"


async def test_an_application_knows_its_own_after_the_clusters_id_has_changed(
    admin: Admin, crds: ControlPlane, nats_server: NatsServer, wadm: Server
) -> None:
    async with Site.open(admin, nats_server) as site:
        async with former_operator(crds, site, cluster_id="before"):
            await site.create()
            await site.deployed()
        async with operator_of(crds, site, cluster_id="after"):
            await site.change("x/web:2")
            await site.deployed()
            await admin.delete(APP, "hello", site.namespace)
            await site.gone()
            assert (await site.wadm("get.hello", {}))["result"] == "notfound"


async def test_a_version_put_on_top_without_an_owner_goes_with_the_owner(
    admin: Admin, crds: ControlPlane, nats_server: NatsServer, wadm: Server
) -> None:
    async with Site.open(admin, nats_server) as site:
        async with former_operator(crds, site):
            await site.create()
            await site.deployed()
        await site.wash_put(version="top", image="x/other:1")
        assert (await site.wadm("deploy.hello", {"version": "top"}))["result"] == "acknowledged"
        await admin.delete(APP, "hello", site.namespace)
        async with operator_of(crds, site):
            await site.gone()
            assert (await site.wadm("get.hello", {}))["result"] == "notfound"


async def test_an_undeployed_application_is_stored_all_the_same_and_has_an_owner(
    admin: Admin, crds: ControlPlane, nats_server: NatsServer, wadm: Server
) -> None:
    async with Site.open(admin, nats_server) as site, operator_of(crds, site):
        await site.create(annotations={f"{OWN}/undeploy": "true"})
        first = await site.phase("Undeployed")
        assert list((await site.versions()).values()) == [False]
        await site.change("x/web:2")
        await site.phase("Undeployed")
        assert list((await site.versions()).values()) == [False, False]
        assert conditions(first)["Synced"] == "True"
        theirs = application("", "theirs", {"version": "1", f"{OWN}/owner-cluster": "elsewhere"})
        del theirs["metadata"]["namespace"]
        theirs["metadata"]["annotations"] |= {f"{OWN}/owner-namespace": "a", f"{OWN}/owner-name": "theirs"}
        await site.wadm("put", theirs)
        await site.create("theirs", annotations={f"{OWN}/undeploy": "true"})
        await site.phase("Failed", "theirs", reason="Conflict")


async def test_a_running_application_stays_when_another_lattice_comes(
    admin: Admin, crds: ControlPlane, nats_server: NatsServer, wadm: Server
) -> None:
    async with Site.open(admin, nats_server) as site:
        async with former_operator(crds, site):
            await site.create()
            await site.deployed()
            await admin.create(host_config(site.namespace, f"{site.lattice}-b", nats_server.url, "another"))
            await admin.wait_for(CONFIG, "another", site.namespace, lambda pool: is_true(pool, "LatticeConnected"))
            await site.change("x/web:2")
            assert (await site.deployed())["status"]["lattice"] == site.lattice
        async with operator_of(crds, site):
            await site.change("x/web:3")
            assert (await site.deployed())["status"]["lattice"] == site.lattice
            await site.create("new")
            await site.phase("Failed", "new", reason="AmbiguousLattice")


async def test_adopting_the_very_same_manifest_warns_of_nothing(
    admin: Admin, crds: ControlPlane, nats_server: NatsServer, wadm: Server
) -> None:
    async with Site.open(admin, nats_server) as site:
        await site.wash_put(version="1.0")
        async with operator_of(crds, site):
            await site.create(annotations={"version": "1.0"})
            await site.deployed()
            await eventually(lambda: site.has_event("Adopted"))
            await eventually(lambda: site.has_event("Deployed"))
            assert not await site.has_event("VersionReused")


async def test_a_component_that_nothing_starts_is_named_in_the_status(
    admin: Admin, crds: ControlPlane, nats_server: NatsServer, wadm: Server
) -> None:
    async with Site.open(admin, nats_server) as site, operator_of(crds, site):
        body = application(site.namespace)
        del body["spec"]["components"][0]["traits"]
        await admin.create(body)
        shown = await site.reaches(lambda obj: "no spreadscaler or daemonscaler" in obj["status"].get("message", ""))
        assert "web: no spreadscaler" in shown["status"]["message"]


async def test_a_paused_application_waits_with_its_deletion(
    admin: Admin, crds: ControlPlane, nats_server: NatsServer, wadm: Server
) -> None:
    async with Site.open(admin, nats_server) as site, operator_of(crds, site):
        await site.create()
        await site.deployed()
        await site.annotate(**{f"{OWN}/paused": "true"})
        await site.reaches(lambda obj: is_true(obj, "Paused"))
        await admin.delete(APP, "hello", site.namespace)
        await site.create("another")
        await site.deployed("another")
        assert list((await site.versions()).values()) == [True], "nothing is written while paused"
        await site.annotate(**{f"{OWN}/paused": None})
        await site.gone()
        assert (await site.wadm("get.hello", {}))["result"] == "notfound"


async def test_the_former_version_does_not_pass_for_the_new_one(
    admin: Admin, crds: ControlPlane, nats_server: NatsServer, wadm: Server
) -> None:
    async with Site.open(admin, nats_server) as site, operator_of(crds, site), site.host():
        await site.create()
        await site.phase("Deployed")
        seen: list[str] = []

        async def on_status(message: Any) -> None:
            seen.append(message.data.decode())

        await site.client.subscribe(f"wadm.status.{site.lattice}.hello", cb=on_status)
        await site.client.flush()
        await site.change("x/web:2")
        app = await site.phase("Deployed")
        assert why(app) == "Deployed"
        assert any('"deployed"' in shown or "reconciling" in shown for shown in seen), (
            "wadm has reported the new version"
        )


def former_operator(crds: ControlPlane, site: Site, **settings: Any) -> contextlib.AbstractAsyncContextManager[Any]:
    """One that leaves everything to its successor."""
    return RunningOperator.start(crds, watch_namespaces=site.namespace, services=False, **settings)


@contextlib.asynccontextmanager
async def operator_of(crds: ControlPlane, site: Site, **settings: Any) -> AsyncIterator[None]:
    """One that takes the namespace's applications out of wadm at the end."""
    async with former_operator(crds, site, **settings):
        yield
        await site.admin.delete_all(APP, site.namespace)
        await eventually(lambda: nothing_left(site), message="the applications are gone")


async def nothing_left(site: Site) -> bool:
    return not await site.admin.list(APP, site.namespace)


def connected_by(pool: Object | None, host: str) -> bool:
    shown = condition(pool, "LatticeConnected") or {}
    return shown.get("status") == "True" and host in shown.get("message", "")
