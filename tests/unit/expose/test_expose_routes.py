"""Routes while it is being found out whether the cluster has them, and those whose hosts no route can name."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.expose import naming, render
from wasmcloud_operator.expose.annotations import read_options
from wasmcloud_operator.expose.http_routes import Routes
from wasmcloud_operator.expose.plan import PlannedService, Record, plan
from wasmcloud_operator.kube.apply import ManagedKind
from wasmcloud_operator.kube.resources import HTTP_ROUTE, INGRESS, Key
from wasmcloud_operator.lattice.identity import LatticeRoute
from wasmcloud_operator.lattice.spec import ConnectionSpec
from wasmcloud_operator.manifest.http_endpoints import Endpoint, Exposure, HttpProvider, Route

LATTICE = LatticeRoute(ConnectionSpec(("nats://127.0.0.1:4222",)), "default").identity
ASKED = {naming.GATEWAY: "infra/main", naming.INGRESS_CLASS: "nginx"}


@dataclass
class Discovery:
    """Tells which kinds are served, once it may."""

    served: bool = True
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0

    async def get_path(self, path: str) -> dict[str, Any]:
        self.asked += 1
        await self.may_answer.wait()
        return {"resources": [{"name": HTTP_ROUTE.plural}] if self.served else []}


@dataclass
class Followed:
    """As much of an informer as is asked here."""

    namespaces: frozenset[str] = frozenset()
    can_be_listed: bool = True
    gone: bool = False

    def follow(self, namespaces: tuple[str, ...]) -> None:
        self.namespaces = frozenset(namespaces)

    async def wait_synced(self) -> None:
        await asyncio.sleep(0)
        if not self.can_be_listed:
            await asyncio.Event().wait()


@dataclass
class Applied:
    bodies: list[Any] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)

    async def apply(self, kind: ManagedKind, body: Any, ours: Any) -> None:
        self.bodies.append(body)

    async def delete(self, kind: ManagedKind, item: Any, ours: Any) -> None:
        self.deleted.append(kind.resource.kind)


@dataclass
class Held:
    names: tuple[str, ...] = ()

    def of(self, key: Any) -> list[Any]:
        return [SimpleNamespace(metadata=SimpleNamespace(name=name)) for name in self.names]


def routes(discovery: Discovery, applied: Applied, clock: VirtualClock, *held: str) -> Routes:
    return Routes(
        client=discovery,
        applier=applied,
        clock=clock,
        http_routes=ManagedKind(HTTP_ROUTE, Followed()),
        ingresses=ManagedKind(INGRESS, Followed()),
        owned_http_routes=Held(held),
        owned_ingresses=Held(held),
        namespaces=("",),
    )


def planned(*links: Route, name: str = "hello", **annotations: str) -> PlannedService:
    routes = links or (Route("a.example.com"),)
    endpoint = Endpoint(port=80, scheme="http", family="IPv4", mode="host", links=("a",), routes=routes)
    provider = HttpProvider(component="httpserver", application=name, id=f"{name}-httpserver", endpoints=(endpoint,))
    options = read_options({**ASKED, **annotations})
    return plan(Record(application=name, version="v1", exposure=Exposure((provider,))), options).services[0]


async def test_a_missing_gateway_api_is_not_reported_before_discovery_has_answered() -> None:
    discovery, applied = Discovery(), Applied()
    several = routes(discovery, applied, VirtualClock())
    asking = [
        asyncio.create_task(several.apply(planned(name=name), "team", LATTICE, [])) for name in ("one", "two", "three")
    ]
    await asyncio.sleep(0)
    discovery.may_answer.set()
    assert await asyncio.gather(*asking) == [[], [], []]
    assert [body["kind"] for body in applied.bodies].count("HTTPRoute") == 3
    assert discovery.asked == 1


async def test_routes_that_cannot_be_listed_keep_no_service_waiting_for_long() -> None:
    discovery, clock = Discovery(), VirtualClock()
    discovery.may_answer.set()
    several = routes(discovery, Applied(), clock)
    several.http_routes.informer.can_be_listed = False
    asking = [
        asyncio.create_task(several.remove(Key("team", name), [], (), lambda _: True))
        for name in ("one", "two", "three")
    ]
    await clock.advance(6)
    assert all(task.done() for task in asking)
    await asyncio.gather(*asking)


async def test_a_missing_gateway_api_is_reported_and_looked_up_once_a_minute() -> None:
    discovery, applied, clock = Discovery(served=False), Applied(), VirtualClock()
    discovery.may_answer.set()
    several = routes(discovery, applied, clock)
    for _ in range(3):
        assert [problem.reason for problem in await several.apply(planned(), "team", LATTICE, [])] == [
            "GatewayAPIMissing"
        ]
    assert discovery.asked == 1
    assert {body["kind"] for body in applied.bodies} == {"Ingress"}
    discovery.served = True
    await clock.advance(61)
    assert await several.apply(planned(), "team", LATTICE, []) == []
    several.http_routes.informer.gone = True  # uninstalled
    assert [problem.reason for problem in await several.apply(planned(), "team", LATTICE, [])] == ["GatewayAPIMissing"]


@pytest.mark.parametrize(
    ("hosts", "kept", "unfit"),
    [
        (("a.example.com", "B.example.com:8080"), ["a.example.com", "b.example.com"], []),
        (("under_score", "a.example.com"), ["a.example.com"], ["under_score"]),
        (("under_score",), None, ["under_score"]),
        (("10.0.0.1:8080", "a.example.com"), ["a.example.com"], ["10.0.0.1:8080"]),
        ((f"{'a.' * 127}b", "a.example.com"), ["a.example.com"], [f"{'a.' * 127}b"]),
    ],
)
async def test_a_route_never_takes_everybodys_requests_for_want_of_a_host(
    hosts: tuple[str, ...], kept: list[str] | None, unfit: list[str]
) -> None:
    discovery, applied = Discovery(), Applied()
    discovery.may_answer.set()
    one = planned(*(Route(host) for host in hosts))
    problems = await routes(discovery, applied, VirtualClock()).apply(one, "team", LATTICE, [])
    assert [(problem.reason, host in str(problem)) for problem, host in zip(problems, unfit, strict=True)] == [
        ("InvalidHost", True) for _ in unfit
    ]
    made = {body["kind"]: body["spec"] for body in applied.bodies}
    if kept is None:
        assert made == {}
        assert not render.routable(one)
    else:
        assert made["HTTPRoute"]["hostnames"] == kept
        assert [rule["host"] for rule in made["Ingress"]["rules"]] == kept


@pytest.mark.parametrize(
    ("key", "value", "applied_still"),
    [
        (naming.GATEWAY, "a/b/c/d", ["Ingress"]),
        (naming.INGRESS_CLASS, "no good", ["HTTPRoute"]),
        (naming.TLS_SECRET, "no good", ["HTTPRoute"]),
        (naming.HOST, "http://shop.example.com", []),
        (naming.ROUTE_ANNOTATIONS, "[]", []),
    ],
)
async def test_a_mistake_in_an_annotation_leaves_a_route_as_it_was(
    key: str, value: str, applied_still: list[str]
) -> None:
    discovery, applied = Discovery(), Applied()
    discovery.may_answer.set()
    one = planned(**{key: value})
    made = routes(discovery, applied, VirtualClock(), "hello")
    await made.apply(one, "team", LATTICE, [])
    await made.remove(Key("team", "hello"), [one], (), lambda _: True)
    assert [body["kind"] for body in applied.bodies] == applied_still
    assert applied.deleted == []


async def test_a_route_that_nobody_asks_for_any_more_goes_whatever_else_is_wrong() -> None:
    discovery, applied = Discovery(), Applied()
    discovery.may_answer.set()
    one = planned(**{naming.GATEWAY: "", naming.INGRESS_CLASS: "", naming.HOST: "http://shop.example.com"})
    made = routes(discovery, applied, VirtualClock(), "hello")
    await made.apply(one, "team", LATTICE, [])
    await made.remove(Key("team", "hello"), [one], (), lambda _: True)
    assert (applied.bodies, applied.deleted) == ([], ["HTTPRoute", "Ingress"])
