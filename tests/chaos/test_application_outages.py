"""Applications while wadm or NATS is killed, silent or wiped, and while answers are lost or doubled."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import nats
import pytest

from support.operators.in_process import USER_AGENT, RunningOperator
from support.sites.applications import APP, CONFIG, Site, conditions, host_config, impatient, patient, why
from support.wadm.between import Between, Request
from testbed import Admin, ControlPlane, NatsServer, Server, Wadm, eventually, is_true
from wasmcloud_operator.application import deletion
from wasmcloud_operator.lattice.testing import flushed

OWN = "k8s.wasmcloud.dev"


@pytest.fixture(autouse=True)
def _impatient() -> Iterator[None]:
    with impatient():
        yield


@pytest.fixture
async def own_wadm(own_nats: NatsServer, tmp_path: Path) -> AsyncIterator[Server]:
    async with Wadm.start(tmp_path / "wadm", own_nats.url) as started:
        yield started


@pytest.fixture
async def operator(crds: ControlPlane, own_wadm: Server) -> AsyncIterator[RunningOperator]:
    async with RunningOperator.start(crds, services=False) as running:
        yield running


@pytest.fixture
async def site(admin: Admin, operator: RunningOperator, own_nats: NatsServer) -> AsyncIterator[Site]:
    async with Site.open(admin, own_nats) as opened:
        yield opened


@contextlib.asynccontextmanager
async def operations(site: Site) -> AsyncIterator[Counter[str]]:
    """Counts what wadm is asked for, by operation."""
    seen: Counter[str] = Counter()

    async def on_request(message: Any) -> None:
        seen[message.subject.split(".")[4]] += 1

    subscription = await site.client.subscribe(f"wadm.api.{site.lattice}.model.>", cb=on_request)
    await flushed(site.client)
    yield seen
    await subscription.unsubscribe()


@contextlib.asynccontextmanager
async def published(site: Site) -> AsyncIterator[Counter[str]]:
    """Counts what wadm says that it has deployed, by name."""
    seen: Counter[str] = Counter()

    async def on_event(message: Any) -> None:
        seen[json.loads(message.data)["data"]["metadata"]["name"]] += 1

    subscription = await site.client.subscribe(f"wadm.evt.{site.lattice}.manifest_published", cb=on_event)
    await flushed(site.client)
    yield seen
    await subscription.unsubscribe()


async def test_nats_restarted_with_its_data_changes_nothing(site: Site, own_nats: NatsServer) -> None:
    await site.create()
    version = (await site.deployed())["status"]["deployedVersion"]
    await site.phase("Reconciling", reason="Waiting")
    await own_nats.stop()
    app = await site.reaches(lambda obj: conditions(obj)["LatticeConnected"] == "False")
    assert conditions(app)["Ready"] == "Unknown"
    assert app["status"]["deployedVersion"] == version
    await own_nats.restart()
    await eventually(lambda: site.client.is_connected)
    async with operations(site) as seen:
        await site.reaches(lambda obj: conditions(obj)["LatticeConnected"] == "True")
        assert not {"put", "deploy", "del", "undeploy"} & seen.keys()
    assert await eventually(site.versions) == {version: True}


async def test_applications_that_nats_lost_are_restored(site: Site, own_nats: NatsServer, own_wadm: Server) -> None:
    for name in ("hello", "other"):
        await site.create(name)
        await site.deployed(name)
    await own_nats.wipe()
    await own_wadm.restart()  # it makes its streams and buckets only when it starts
    for name in ("hello", "other"):
        await eventually(lambda name=name: _all_deployed(site, name))


async def test_wadm_killed_between_changes_loses_none_and_deploys_none_twice(site: Site, own_wadm: Server) -> None:
    async with operations(site) as seen, published(site) as deployed:
        names = [f"app-{number}" for number in range(20)]
        creating = [asyncio.create_task(site.create(name)) for name in names]
        await eventually(lambda: seen["deploy"] >= 3, interval=0.005)
        await own_wadm.kill()
        await asyncio.gather(*creating)
        await own_wadm.start()
        for name in names:
            await site.deployed(name)
            assert list((await site.versions(name)).values()) == [True]
        assert set(deployed.values()) == {1}, "none twice"


async def test_a_wadm_that_is_gone_is_reported_and_used_again_when_it_is_back(site: Site, own_wadm: Server) -> None:
    await own_wadm.stop()
    await site.create()
    app = await site.phase("Reconciling", reason="WadmUnavailable")
    assert conditions(app)["LatticeConnected"] == "False"
    await own_wadm.start()
    await site.deployed()
    await own_wadm.stop()
    await site.admin.delete(APP, "hello", site.namespace)
    app = await site.reaches(lambda obj: "cannot be deleted" in obj["status"]["message"])
    assert "deletion-policy=Orphan" in app["status"]["message"]
    await site.annotate(**{f"{OWN}/deletion-policy": "Orphan"})
    await site.gone()


async def test_a_host_config_that_goes_with_an_unreachable_lattice_ends_in_time(
    site: Site, own_nats: NatsServer, operator: RunningOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "GIVE_UP_SECONDS", 2.0)
    await site.create()
    await site.deployed()
    await site.phase("Reconciling", reason="Waiting")
    await own_nats.stop()
    await site.admin.delete(CONFIG, "pool", site.namespace)
    await site.admin.delete(APP, "hello", site.namespace)
    await site.gone()
    await eventually(lambda: site.has_event("LeftInWadm"))
    left = f'wasmcloud_operator_applications_left_in_wadm_total{{lattice="{site.lattice}"}} 1.0'
    assert left in (await operator.metrics()).splitlines()


async def test_an_application_is_removed_from_wadm_after_its_host_config_is_gone(site: Site) -> None:
    await site.create()
    await site.deployed()
    await site.admin.delete(CONFIG, "pool", site.namespace)
    await site.reaches(lambda obj: obj["status"]["message"].startswith("no host config"))
    await site.admin.delete(APP, "hello", site.namespace)
    await site.gone()
    assert (await site.wadm("get.hello", {}))["result"] == "notfound"


@pytest.fixture
def _patient() -> Iterator[None]:
    with patient():
        yield


@pytest.mark.usefixtures("_patient")
async def test_a_restart_puts_nothing_and_writes_nothing(
    admin: Admin, crds: ControlPlane, own_nats: NatsServer, own_wadm: Server
) -> None:
    assert crds.audit is not None
    async with Site.open(admin, own_nats) as site:
        settings = {"watch_namespaces": site.namespace}
        names = [f"app-{number}" for number in range(5)]
        async with RunningOperator.start(crds, **settings):
            for name in names:
                await site.create(name, {"version": "1.0"} if name == "app-1" else None)
            for name in names:
                await site.phase("Reconciling", name, reason="Waiting")
        async with operations(site) as seen:
            with crds.audit.counting(user_agent=USER_AGENT) as counter:
                async with RunningOperator.start(crds, **settings) as operator:
                    # at the start and when the list of their lattice came in
                    await eventually(lambda: looked_at(operator, 2 * len(names)))
            assert not [event for event in counter.writes if event.resource.startswith("applications.")]
            await eventually(lambda: seen["get"])  # what was asked reaches this client in its own time
            assert seen == {"get": 1}, "one list for all who want to know, and nothing for each application"
        async with RunningOperator.start(crds, **settings):
            for name in names:
                await site.admin.delete(APP, name, site.namespace)
                await site.gone(name)


async def looked_at(operator: RunningOperator, times: int) -> bool:
    """Whether that many reconciles of Applications have ended."""
    return await operator.looks("application") >= times


async def test_lost_and_doubled_answers_put_nothing_twice(
    admin: Admin, crds: ControlPlane, own_nats: NatsServer, tmp_path: Path
) -> None:
    asked: Counter[str] = Counter()

    async def lose_or_double(request: Request) -> None:
        answer = await request.pass_on()
        asked[request.operation] += 1
        if asked[request.operation] == 1 and request.operation in ("put", "deploy.hello"):
            return
        await request.answer(answer)
        await request.answer(answer)

    async with Between.start(tmp_path / "wadm", own_nats) as between, Site.open(admin, own_nats) as site:
        between.handle = lose_or_double
        async with RunningOperator.start(crds, watch_namespaces=site.namespace, services=False):
            await site.create()
            app = await site.reaches(lambda obj: "deployedVersion" in obj["status"])
            version = app["status"]["deployedVersion"]
            assert (asked["put"], asked["deploy.hello"]) == (1, 1)
            assert between.done["put created"] == 1
            assert list(await site.versions()) == [version]
            await site.admin.delete(APP, "hello", site.namespace)
            await site.gone()


async def test_a_change_that_wadm_could_not_pass_on_is_repeated_until_it_can(
    admin: Admin, crds: ControlPlane, own_nats: NatsServer, tmp_path: Path
) -> None:
    """It has stored the change by then: what is stored does not say that wadm's own workers know of it."""
    failing = dict.fromkeys(("deploy.hello", "undeploy.hello", "del.hello"), 4)  # more than the client asks at a time
    refusal = {"result": "error", "message": "Error notifying processors. This is likely a transient error"}

    async def fail_first(request: Request) -> None:
        answer = await request.pass_on()
        if failing.get(request.operation):
            failing[request.operation] -= 1
            answer = refusal
        await request.answer(answer)

    async with Between.start(tmp_path / "wadm", own_nats) as between, Site.open(admin, own_nats) as site:
        between.handle = fail_first
        async with RunningOperator.start(crds, watch_namespaces=site.namespace, services=False):
            await site.create()
            await site.phase("Reconciling", reason="Waiting")
            assert (failing["deploy.hello"], between.done["deploy.hello acknowledged"]) == (0, 5)
            await site.annotate(**{f"{OWN}/undeploy": "true"})
            await site.phase("Undeployed")
            assert (failing["undeploy.hello"], between.done["undeploy.hello acknowledged"]) == (0, 5)
            await site.admin.delete(APP, "hello", site.namespace)
            await site.gone()
            assert (failing["del.hello"], between.done["del.hello deleted"]) == (0, 1)
            assert between.done["del.hello noop"] == 4
            await site.create()
            await site.deployed()
            failing["undeploy.hello"] = 4
            await site.admin.delete(APP, "hello", site.namespace)
            await site.gone()
            assert (failing["undeploy.hello"], between.done["undeploy.hello acknowledged"]) == (0, 10)


async def test_a_dead_lattice_does_not_hold_up_another(site: Site, admin: Admin, tmp_path: Path) -> None:
    asked: list[str] = []

    async def never(message: Any) -> None:
        asked.append(message.subject)

    async with NatsServer.start(tmp_path / "dead", jetstream=False) as dead:
        client = await nats.connect(dead.url)
        await client.subscribe("wadm.api.dead.model.>", cb=never)
        await flushed(client)
        await admin.create(host_config(site.namespace, "dead", dead.url, "dead"))
        await admin.wait_for(CONFIG, "dead", site.namespace, lambda pool: is_true(pool, "LatticeConnected"))
        for number in range(100):
            await site.create(f"dead-{number}", {f"{OWN}/lattice": "dead"})
        first = await eventually(lambda: next(subject for subject in asked if ".versions." in subject))
        await site.create(annotations={f"{OWN}/lattice": site.lattice})
        await site.deployed()
        turns = {subject for subject in asked if ".versions." in subject}
        assert len(turns) < 100, "it did not have to wait for the turn of each"
        await site.reaches(lambda obj: why(obj) == "WadmUnavailable", first.rpartition(".")[2])
        await client.close()


async def _all_deployed(site: Site, name: str) -> bool:
    versions = await site.versions(name)
    return bool(versions) and list(versions.values()) == [True]
