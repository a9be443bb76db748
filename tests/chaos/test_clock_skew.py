"""The operator on a machine whose clock is hours ahead of or behind the API server's, wadm's and the hosts' clocks."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta

import pytest

from support.operators.in_process import USER_AGENT, RunningOperator
from support.sites.applications import APP, Site, components, impatient, patient
from support.sites.services import ServiceSite, http_components
from support.wadm.between import Between
from testbed import Admin, ControlPlane, Kwok, NatsServer, Server, eventually
from wasmcloud_operator.base.clock import SystemClock

OWN = "k8s.wasmcloud.dev"
HOURS = [pytest.param(5, id="ahead"), pytest.param(-5, id="behind")]


class SkewedClock(SystemClock):
    """Goes as fast as the others do, and shows another time."""

    def __init__(self, hours: int) -> None:
        self._off = timedelta(hours=hours)

    def now(self) -> datetime:
        return super().now() + self._off


@pytest.mark.parametrize("hours", HOURS)
async def test_applications_converge_and_another_clock_deploys_nothing_again(
    admin: Admin, crds: ControlPlane, own_nats: NatsServer, between: Between, hours: int
) -> None:
    assert crds.audit is not None
    with impatient(), patient():
        async with Site.open(admin, own_nats) as site, site.host():
            settings = {"watch_namespaces": site.namespace, "services": False}
            async with RunningOperator.start(crds, clock=SkewedClock(hours), **settings):
                await site.create(annotations={"version": "1.0", f"{OWN}/revision-history-limit": "1"})
                for image, version in (("x/web:2", "1.1"), ("x/web:3", "1.2")):
                    await site.phase("Deployed")
                    await site.patch(
                        {"metadata": {"annotations": {"version": version}}, "spec": {"components": components(image)}}
                    )
                    await site.reaches(lambda obj, version=version: obj["status"].get("deployedVersion") == version)
                await site.phase("Deployed")
                stored = await site.versions()
                assert stored == {"1.1": False, "1.2": True}
                done = changes(between)
                deploys = done.pop("deploy.hello acknowledged")
                # one for each version, and each that wadm lost: of a lattice new to it, it misses some
                assert deploys == 3 or (deploys > 3 and "DeployedAgain" in await site.events())
                assert done == {"put created": 1, "put newversion": 2, "del.hello deleted": 1}
            with crds.audit.counting(user_agent=USER_AGENT) as counter:
                async with RunningOperator.start(crds, clock=SkewedClock(-hours), **settings) as operator:
                    await eventually(lambda: looked_at(operator))
                    assert changes(between) == {**done, "deploy.hello acknowledged": deploys}
                    assert not [event for event in counter.writes if event.resource == "applications.core.oam.dev"]
                    assert await site.versions() == stored
                    await site.annotate(**{f"{OWN}/undeploy": "true"})
                    await site.phase("Undeployed")
                    await site.annotate(**{f"{OWN}/undeploy": None})
                    await site.phase("Deployed")
                    assert await site.versions() == stored
                    await site.admin.delete(APP, "hello", site.namespace)
                    await site.gone()
            assert (await site.wadm("get.hello", {}))["result"] == "notfound"


@pytest.mark.parametrize("hours", HOURS)
async def test_pods_serve_whatever_the_clock_says(
    admin: Admin, crds: ControlPlane, kwok: Kwok, nats_server: NatsServer, wadm: Server, hours: int
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        operator = await stack.enter_async_context(RunningOperator.start(crds))
        site = await stack.enter_async_context(ServiceSite.open(admin, nats_server, replicas=2))
        one, two = await site.pods()
        async with site.host_on(one) as first, site.host_on(two) as second:
            # wadm itself runs nothing, and does not meddle with what is started and stopped here.
            await site.wash_run("hello", http_components(8080, requirements={"zone": "nowhere"}))
            await first.start_provider("hello-httpserver", application="hello")
            await site.serving("hello", lambda found: found == {one})
            await operator.stop()
            await stack.enter_async_context(RunningOperator.start(crds, clock=SkewedClock(hours)))
            await second.start_provider("hello-httpserver", application="hello")
            await site.serving("hello", lambda found: found == {one, two})
            await first.stop_provider("hello-httpserver")
            await site.serving("hello", lambda found: found == {two})


def changes(between: Between) -> dict[str, int]:
    """What wadm did, by operation and result."""
    return {
        what: count for what, count in between.done.items() if what.startswith(("put", "deploy", "undeploy", "del"))
    }


async def looked_at(operator: RunningOperator) -> bool:
    """Whether the application was reconciled, at the start and when its lattice's list came in."""
    return await operator.looks("application") >= 2
