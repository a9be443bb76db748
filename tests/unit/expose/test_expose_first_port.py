"""The first port of a Service, to which routes lead, and what keeps it the first."""

from __future__ import annotations

from typing import Any

import pytest

from support.objects.good_manifest import link as http_link
from support.sites.reconciled_services import Site, spec


def two_ports(*addresses: str) -> dict[str, Any]:
    """A manifest whose one component opens a port for each of two links."""
    made = spec(addresses[0])
    made["components"][0]["traits"].append(http_link(name="another", address=addresses[1]))
    return made


@pytest.mark.parametrize(
    ("addresses", "first"),
    [
        pytest.param(("0.0.0.0:7070", "0.0.0.0:8080"), 8080, id="one written before it"),
        pytest.param(("0.0.0.0:7070", "0.0.0.0:80800"), 8080, id="and a mistake in its own"),
        pytest.param(("0.0.0.0:7070", "0.0.0.0:8081"), 7070, id="two others"),
    ],
)
async def test_routes_stay_with_the_port_that_they_lead_to(site: Site, addresses: tuple[str, str], first: int) -> None:
    site.application()
    site.deployed(spec("0.0.0.0:8080"))
    await site.look()
    for addresses_now in (addresses, ("0.0.0.0:7070", "0.0.0.0:8080")):
        site.deployed(two_ports(*addresses_now))
        ports = (await site.look())["shop"]["spec"]["ports"]
        assert [port["port"] for port in ports if port["name"] == "http"] == [first]
        assert {planned.provider.endpoints[0].port for planned in site.routes.applied} <= {8080, first}


async def test_a_port_that_moves_beside_another_stays_the_first(site: Site) -> None:
    site.application()
    site.deployed(two_ports("0.0.0.0:8080", "0.0.0.0:7070"))
    await site.look()
    site.deployed(two_ports("0.0.0.0:7070", "0.0.0.0:8081"))
    ports = (await site.look())["shop"]["spec"]["ports"]
    assert [(port["name"], port["port"]) for port in ports] == [("http", 8081), ("http-7070", 7070)]
