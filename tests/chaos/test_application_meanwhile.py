"""Applications that are changed while wadm is at work on them, and wadm's silence about what is asked of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support.operators.in_process import RunningOperator
from support.sites.applications import APP, EVENT, Site, conditions, host_config, impatient, patient, why
from support.wadm.between import Between, Request, straight_on
from testbed import Admin, ControlPlane, NatsServer, Wadm, eventually

OWN = "k8s.wasmcloud.dev"


@pytest.fixture
def _patient() -> Iterator[None]:
    with patient():
        yield


@pytest.fixture
async def site(admin: Admin, crds: ControlPlane, own_nats: NatsServer, between: Between) -> AsyncIterator[Site]:
    with impatient():
        async with (
            Site.open(admin, own_nats) as opened,
            RunningOperator.start(crds, watch_namespaces=opened.namespace, services=False, reconcile_timeout=180.0),
        ):
            yield opened
            await remove(opened)


async def remove(site: Site) -> None:
    """While the operator still runs."""
    await site.admin.delete_all(APP, site.namespace)
    await site.gone()


class Held:
    """The first request of an operation waits for `go`; `come` says that it is there. The next put waits for `next`."""

    def __init__(self, operation: str, answer: dict[str, str] | None = None) -> None:
        self.come, self.go, self.next_come, self.next_go = (asyncio.Event() for _ in range(4))
        self._operation, self._answer = operation, answer

    async def __call__(self, request: Request) -> None:
        if request.operation == self._operation and not self.come.is_set():
            self.come.set()
            await self.go.wait()
            if self._answer is not None:
                await request.answer(self._answer)
                return
        elif request.operation == "put" and self.come.is_set():
            self.next_come.set()
            await self.next_go.wait()
        await straight_on(request)


@pytest.mark.usefixtures("_patient")
@pytest.mark.parametrize(
    ("operation", "answer"),
    [("deploy.hello", {"result": "error", "message": "not today"}), ("status.hello", None)],
    ids=["refused", "settled"],
)
async def test_a_status_of_the_old_content_is_not_shown_for_the_new_one(
    site: Site, between: Between, operation: str, answer: dict[str, str] | None
) -> None:
    between.handle = held = Held(operation, answer)
    await site.create()
    await asyncio.wait_for(held.come.wait(), 60)
    await site.change("x/web:2")
    held.go.set()
    await asyncio.wait_for(held.next_come.wait(), 60)
    app = await site.get()
    assert app["metadata"]["generation"] == 2
    assert app["status"]["observedGeneration"] == 1
    assert why(app) == ("DeployRejected" if answer else "Waiting")
    held.next_go.set()
    app = await site.phase("Reconciling", reason="Waiting")
    assert await site.versions() == {app["status"]["versions"][0]: False, app["status"]["deployedVersion"]: True}


@pytest.mark.usefixtures("_patient")
async def test_the_finalizer_is_there_before_wadm_has_anything(site: Site, between: Between) -> None:
    before: list[list[str]] = []

    async def look(request: Request) -> None:
        if request.operation == "put":
            before.append((await site.get())["metadata"].get("finalizers", []))
        await straight_on(request)

    between.handle = look
    await site.create()
    await site.deployed()
    assert before
    assert all(finalizers == [f"{OWN}/application"] for finalizers in before)


async def test_a_lattice_whose_wadm_is_gone_holds_up_no_move_and_is_left_in_the_end(
    site: Site, between: Between, admin: Admin
) -> None:
    other = f"{site.lattice}-b"
    await admin.create(host_config(site.namespace, other, site.nats.url, "second"))
    await site.create(annotations={f"{OWN}/lattice": site.lattice})
    version = (await site.deployed())["status"]["deployedVersion"]

    unanswered = 0

    async def half_gone(request: Request) -> None:
        nonlocal unanswered
        if request.message.subject.split(".")[2] == other:
            await straight_on(request)
        else:
            unanswered += 1

    between.handle = half_gone
    await site.annotate(**{f"{OWN}/lattice": other})
    moved = await site.reaches(lambda obj: obj["status"]["lattice"] == other and "deployedVersion" in obj["status"])
    assert [place["lattice"] for place in moved["status"]["leaving"]] == [site.lattice]
    await site.reaches(lambda obj: "no answer" in obj["status"]["leaving"][0].get("problem", ""))
    await eventually(lambda: site.has_event("LeftBehind"))
    before = unanswered
    await eventually(lambda: unanswered >= before + 3)
    (found,) = [event for event in await admin.list(EVENT, site.namespace) if event["reason"] == "LeftBehind"]
    assert "series" not in found, "one more try is no news"
    assert (await site.wadm("get.hello", {}, other))["result"] == "success"
    between.handle = straight_on
    assert await site.versions() == {version: True}
    await site.reaches(lambda obj: "leaving" not in obj["status"])
    assert await site.versions() == {}
    await remove(site)


async def test_a_lattice_whose_wadm_is_gone_is_given_up_when_that_is_asked_for(
    site: Site, between: Between, admin: Admin
) -> None:
    other = f"{site.lattice}-b"
    await admin.create(host_config(site.namespace, other, site.nats.url, "second"))
    await site.create(annotations={f"{OWN}/lattice": site.lattice})
    version = (await site.deployed())["status"]["deployedVersion"]

    async def half_gone(request: Request) -> None:
        if request.message.subject.split(".")[2] == other:
            await straight_on(request)

    between.handle = half_gone
    await site.annotate(**{f"{OWN}/lattice": other})
    await site.reaches(lambda obj: "leaving" in obj["status"])
    await site.annotate(**{f"{OWN}/deletion-policy": "Orphan"})
    await site.reaches(lambda obj: "leaving" not in obj["status"])
    between.handle = straight_on
    assert await site.versions() == {version: True}
    await site.annotate(**{f"{OWN}/deletion-policy": None})
    await remove(site)


async def test_annotations_that_wadm_has_not_heard_of_are_not_said_to_be_deployed(site: Site, between: Between) -> None:
    async with site.host():
        await site.create()
        before = await site.phase("Deployed")

        async def gone(request: Request) -> None:
            del request

        between.handle = gone
        await site.annotate(version="2.0")
        found = await site.reaches(lambda obj: obj["status"]["phase"] == "Reconciling")
        assert found["metadata"]["generation"] == before["metadata"]["generation"]
        assert found["status"]["inputsDigest"] != before["status"]["inputsDigest"]
        between.handle = straight_on
        await site.reaches(lambda obj: obj["status"].get("deployedVersion") == "2.0")
        await remove(site)


async def test_undeployed_is_said_only_when_wadm_says_so(
    admin: Admin, crds: ControlPlane, own_nats: NatsServer, tmp_path: Path
) -> None:
    async with Wadm.start(tmp_path / "wadm", own_nats.url) as wadm, Site.open(admin, own_nats) as site:
        settings = {"watch_namespaces": site.namespace, "services": False}
        async with RunningOperator.start(crds, **settings):
            await site.create()
            version = (await site.deployed())["status"]["deployedVersion"]
        await wadm.stop()
        await site.annotate(**{f"{OWN}/undeploy": "true"})
        async with RunningOperator.start(crds, **settings):
            app = await site.reaches(lambda obj: why(obj) == "WadmUnavailable")
            assert app["status"]["phase"] != "Undeployed"
            assert app["status"]["deployedVersion"] == version
            assert conditions(app)["LatticeConnected"] == "False"
            await wadm.start()
            await site.phase("Undeployed")
            assert await site.versions() == {version: False}
            await remove(site)


async def test_a_former_status_is_not_shown_when_wadm_is_gone_after_a_break(
    admin: Admin, crds: ControlPlane, own_nats: NatsServer, tmp_path: Path
) -> None:
    async with (
        Wadm.start(tmp_path / "wadm", own_nats.url) as wadm,
        Site.open(admin, own_nats) as site,
        RunningOperator.start(crds, watch_namespaces=site.namespace, services=False),
    ):
        await site.create()
        await site.phase("Reconciling", reason="Waiting")
        await own_nats.stop()
        await site.reaches(lambda obj: conditions(obj)["LatticeConnected"] == "False")
        await wadm.kill()
        await own_nats.restart()
        app = await site.reaches(lambda obj: why(obj) == "WadmUnavailable")
        assert conditions(app)["LatticeConnected"] == "False"
        await wadm.start()
        await site.phase("Reconciling", reason="Waiting")
        await remove(site)


async def test_a_wadm_that_falls_silent_under_settled_applications_is_reported(
    admin: Admin, crds: ControlPlane, own_nats: NatsServer, tmp_path: Path
) -> None:
    async with (
        Wadm.start(tmp_path / "wadm", own_nats.url) as wadm,
        Site.open(admin, own_nats) as site,
        site.host(),
        RunningOperator.start(crds, watch_namespaces=site.namespace, services=False),
    ):
        await site.create()
        version = (await site.phase("Deployed"))["status"]["deployedVersion"]
        await wadm.kill()
        before = (await site.get())["status"]["phase"]
        # Any push is a reason to list soon, instead of at the slow resync.
        event = {"type": "com.wadm.manifest_unpublished", "data": {"name": "another"}}
        await site.client.publish(f"wadm.evt.{site.lattice}.manifest_unpublished", json.dumps(event).encode())
        app = await site.reaches(lambda obj: why(obj) == "WadmUnavailable")
        assert app["status"]["phase"] == before
        assert (conditions(app)["Ready"], conditions(app)["LatticeConnected"]) == ("Unknown", "False")
        await wadm.start()
        await site.phase("Deployed", reason="Deployed")
        assert await site.versions() == {version: True}
        await remove(site)


async def test_few_workers_do_all_the_work(
    admin: Admin, crds: ControlPlane, own_nats: NatsServer, between: Between
) -> None:
    async with Site.open(admin, own_nats) as site:
        settings = {"watch_namespaces": site.namespace, "services": False, "workers": 1}
        async with RunningOperator.start(crds, **settings) as operator:
            # two for whoever comes first, and one that is kept for other namespaces
            limit = 'controller_runtime_max_concurrent_reconciles{controller="application"} 3.0'
            assert limit in (await operator.metrics()).splitlines()
            names = [f"app-{number}" for number in range(10)]
            for name in names:
                await site.create(name)
            for name in names:
                await site.deployed(name)
            assert between.done["put created"] == len(names)
            for name in names:
                await site.admin.delete(APP, name, site.namespace)
            for name in names:
                await site.gone(name)
            assert (await site.wadm("get"))["models"] == []
