"""Many Applications edited at once on a busy wadm: none is Deployed before it runs. `EDITED_AT_ONCE` is how many."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Iterable
from typing import Any

import pytest

from support.operators.in_process import RunningOperator
from support.sites.applications import APP, Site, application, components, patient
from testbed import ControlPlane, NatsServer, Server, eventually
from wasmcloud_operator.application.status import Verdict
from wasmcloud_operator.application.writer import ApplicationWriter
from wasmcloud_operator.lattice.testing import LatticeHost

APPLICATIONS = int(os.environ.get("EDITED_AT_ONCE", "60"))
_AT_ONCE = 16


class Witness:
    """Looks at the host whenever an Application is to be shown as Deployed."""

    def __init__(self) -> None:
        self.host: LatticeHost | None = None
        self.shown = 0
        self.early: list[str] = []

    def images(self, name: str) -> set[str]:
        """What the host runs of an application."""
        running = self.host.components.values() if self.host is not None else ()
        return {about["image_ref"] for about in running if about["annotations"]["wasmcloud.dev/appspec"] == name}

    def look(self, name: str, wanted: str) -> None:
        self.shown += 1
        running = self.images(name)
        if running != {wanted}:
            self.early.append(f"{name}: {sorted(running)} runs, {wanted} is Deployed")


@pytest.fixture
def witness(monkeypatch: pytest.MonkeyPatch) -> Witness:
    witness = Witness()
    show = ApplicationWriter.show

    async def looked_at(self: ApplicationWriter, item: Any, verdict: Verdict, *fields: Any, **options: Any) -> bool:
        if verdict.phase == "Deployed":
            witness.look(item.metadata.name, item.spec["components"][0]["properties"]["image"])
        return await show(self, item, verdict, *fields, **options)

    monkeypatch.setattr(ApplicationWriter, "show", looked_at)
    return witness


async def test_nothing_is_deployed_before_it_runs(
    crds: ControlPlane, nats_server: NatsServer, wadm: Server, witness: Witness
) -> None:
    names = [f"app-{number:03}" for number in range(APPLICATIONS)]
    with patient():
        async with (
            RunningOperator.start(crds, services=False),
            crds.admin() as admin,
            Site.open(admin, nats_server) as site,
            site.host() as witness.host,
        ):

            async def edit(name: str, image: str) -> None:
                await site.patch({"spec": {"components": components(image)}}, name)

            async def edit_once_it_runs(name: str) -> None:
                """In between the host's word and wadm's: that the former version is deployed comes after the edit."""
                await eventually(lambda: witness.images(name), timeout=600, message=f"{name} runs")
                await edit(name, "x/web:2")

            await together(admin.create(application(site.namespace, name, image="x/web:1")) for name in names)
            await asyncio.gather(*(edit_once_it_runs(name) for name in names))
            await all_deployed(site, generation=2)
            await together(edit(name, "x/web:3") for name in names)
            await all_deployed(site, generation=3)
            assert witness.early == []
            assert witness.shown >= 2 * APPLICATIONS
            assert all(witness.images(name) == {"x/web:3"} for name in names)


async def together(calls: Iterable[Awaitable[object]]) -> None:
    """Many at a time, but not more than a client has connections for."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(call: Awaitable[object]) -> None:
        async with room:
            await call

    await asyncio.gather(*(one(call) for call in calls))


async def all_deployed(site: Site, generation: int) -> None:
    async def deployed() -> bool:
        found = [item.get("status", {}) for item in await site.admin.list(APP, site.namespace)]
        done = [each for each in found if each.get("phase") == "Deployed" and each["observedGeneration"] == generation]
        return len(done) == APPLICATIONS

    await eventually(deployed, timeout=600, message=f"all of generation {generation} are deployed")
