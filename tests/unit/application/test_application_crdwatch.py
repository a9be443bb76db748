"""Whose CRD it is, by what an API server says that is not always well."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from wasmcloud_operator.application.coexistence import CrdWatch, crd_state
from wasmcloud_operator.kube.errors import Forbidden, NotFound, ServerError, Throttled, Unreachable
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.testing import VirtualClock

OURS = {"resources": [{"name": "applications", "categories": ["wasmcloud"]}]}
NO_API_SERVICE = NotFound(404, "NotFound", "no such APIService")
KUBEVELAS = {"resources": [{"name": "applications", "categories": ["oam"]}]}


class Server:
    """Answers for the API server: `discovery` and `api_service` are what it gives, or raises."""

    def __init__(self, discovery: Any = OURS, api_service: Exception = NO_API_SERVICE) -> None:
        self.discovery, self.api_service = discovery, api_service

    async def get(self, *_: Any) -> Any:
        raise self.api_service

    async def get_path(self, _: str) -> Any:
        if isinstance(self.discovery, Exception):
            raise self.discovery
        return self.discovery


class Followed:
    """The namespaces that the informer was told to follow, one entry for each time."""

    def __init__(self, synced: bool = True) -> None:
        self.told: list[tuple[str, ...]] = []
        self.synced = synced

    def follow(self, namespaces: tuple[str, ...]) -> None:
        self.told.append(namespaces)


UNWELL = [ServerError(503, "ServiceUnavailable", "x"), Throttled(429, "TooManyRequests", "x"), Unreachable("refused")]


@pytest.mark.parametrize("fault", UNWELL, ids=lambda fault: type(fault).__name__)
async def test_an_api_server_that_is_not_well_takes_nobodys_applications_away(fault: Exception) -> None:
    server, followed, clock = Server(), Followed(), VirtualClock()
    watch = CrdWatch(server, followed, ("a",), await crd_state(server), clock, Metrics())  # type: ignore[arg-type]
    task = asyncio.create_task(watch.run())
    server.discovery = fault
    await clock.advance(300)
    assert followed.told == [("a",)]
    assert (watch.problems, watch.notes) == ([], [])
    server.discovery = KUBEVELAS
    await clock.advance(300)
    assert followed.told == [("a",), ()]
    assert watch.notes
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(("synced", "seconds"), [(True, 60), (False, 10)])
async def test_one_that_is_discovered_and_cannot_be_listed_is_looked_at_again_soon(synced: bool, seconds: int) -> None:
    """An API server goes on to discover a CRD for a while after it has been deleted."""
    server, followed, clock = Server(), Followed(synced), VirtualClock()
    watch = CrdWatch(server, followed, ("a",), await crd_state(server), clock, Metrics())  # type: ignore[arg-type]
    task = asyncio.create_task(watch.run())
    server.discovery = NotFound(404, "NotFound", "x")
    await clock.advance(seconds - 1)
    assert followed.told == [("a",)]
    await clock.advance(1)
    assert followed.told == [("a",), ()]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(
    ("discovery", "state"),
    [
        (OURS, "ours"),
        (KUBEVELAS, "foreign"),
        ({"resources": [{"name": "traitdefinitions"}]}, "missing"),
        (NotFound(404, "NotFound", "x"), "missing"),
        (ServerError(503, "ServiceUnavailable", "the APIService has no backend"), "unclear"),
    ],
)
async def test_without_the_right_to_read_the_api_service_discovery_tells(discovery: Any, state: str) -> None:
    server = Server(discovery, Forbidden(403, "Forbidden", "apiservices"))
    watch = CrdWatch(server, Followed(), ("a",), await crd_state(server), VirtualClock(), Metrics())  # type: ignore[arg-type]
    assert (await crd_state(server)).served_by == state  # type: ignore[arg-type]
    assert bool(watch.problems) == (state in ("missing", "unclear"))
    assert bool(watch.notes) == (state == "foreign")
