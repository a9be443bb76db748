"""Address families of Services, on a cluster that has both."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from support.operators.in_process import RunningOperator
from support.sites.services import ServiceSite, http_components, http_link
from testbed import ControlPlane, NatsServer, Server, eventually

BOTH = ("--service-cluster-ip-range", "10.96.0.0/16,fd00:10:96::/112")
CRDS = Path(__file__).parents[2] / "manifests" / "crds"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ControlPlane]:
    async with ControlPlane.start(tmp_path_factory.mktemp("families"), apiserver_args=BOTH) as started:
        await started.admin().apply_files(*sorted(CRDS.glob("*.yaml")))
        async with RunningOperator.start(started):
            yield started


@pytest_asyncio.fixture(loop_scope="module")
async def site(cluster: ControlPlane, nats_server: NatsServer, wadm: Server) -> AsyncIterator[ServiceSite]:
    async with cluster.admin() as admin, ServiceSite.open(admin, nats_server, replicas=0) as opened:
        yield opened


async def test_a_service_has_the_families_that_its_ports_take(site: ServiceSite) -> None:
    await run(site, "changing", "[::]:8088", "v1")
    made = await site.service("changing", lambda found: families(found) == ["IPv4", "IPv6"])

    await run(site, "changing", "0.0.0.0:8088", "v2")
    narrowed = await site.service("changing", lambda found: families(found) == ["IPv4"])
    assert narrowed["metadata"]["uid"] == made["metadata"]["uid"]
    assert narrowed["spec"]["clusterIP"] == made["spec"]["clusterIP"]

    await run(site, "changing", "[::]:8088", "v3")
    widened = await site.service("changing", lambda found: families(found) == ["IPv4", "IPv6"])
    assert widened["spec"]["clusterIP"] == made["spec"]["clusterIP"]

    await run(site, "six", "[fd00::1]:8088", "v1")
    await site.service("six", lambda found: families(found) == ["IPv6"])


async def test_a_service_that_has_to_begin_with_another_family_is_made_anew(site: ServiceSite) -> None:
    await run(site, "changing", "0.0.0.0:8088", "v1")
    made = await site.service("changing", lambda found: families(found) == ["IPv4"])
    await run(site, "changing", "[fd00::1]:8088", "v2")
    anew = await site.service("changing", lambda found: families(found) == ["IPv6"])
    assert anew["metadata"]["uid"] != made["metadata"]["uid"]
    events = await eventually(lambda: replaced(site), message="an Event reports it")
    assert ["changing" in event["note"] for event in events] == [True]

    # Something else holds the former one: the new one comes after it.
    await site.admin.patch("v1/Service", "changing", site.namespace, {"metadata": {"finalizers": ["example.com/hold"]}})
    await run(site, "changing", "0.0.0.0:8088", "v3")
    await site.service("changing", lambda found: found["metadata"].get("deletionTimestamp"))
    await site.admin.patch("v1/Service", "changing", site.namespace, {"metadata": {"finalizers": None}})
    await site.service("changing", lambda found: families(found) == ["IPv4"])


async def replaced(site: ServiceSite) -> list[Any]:
    events = await site.admin.list("events.k8s.io/v1/Event", site.namespace)
    return [event for event in events if event["reason"] == "ServiceReplaced"]


async def run(site: ServiceSite, name: str, address: str, version: str) -> None:
    await site.wash_run(name, http_components(links=[http_link({"address": address})]), version)


def families(service: Any) -> list[str] | None:
    """Of the addresses that it was given, which are those that it asks for."""
    if service is None:
        return None
    given = [f"IPv{ipaddress.ip_address(address).version}" for address in service["spec"]["clusterIPs"]]
    assert given == service["spec"]["ipFamilies"]
    return given
