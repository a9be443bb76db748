"""Whose CRD it is, by what an API server says that is not always well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from wasmcloud_operator.application import coexistence
from wasmcloud_operator.application.coexistence import CrdState, CrdWatch, crd_state
from wasmcloud_operator.application.naming import FINALIZER
from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.kinds import APPLICATION
from wasmcloud_operator.kube.client import Reader, Writer
from wasmcloud_operator.kube.codec import CUSTOM_RESOURCE, Page
from wasmcloud_operator.kube.errors import Forbidden, NotFound, ServerError, Throttled, Unreachable, WritesForbidden
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta
from wasmcloud_operator.kube.resources import CUSTOM_RESOURCE_DEFINITION, Key
from wasmcloud_operator.kube.testing import ScriptedApi, ScriptedTransport
from wasmcloud_operator.shared.applications_gate import ApplicationsGate
from wasmcloud_operator.shared.context import Context

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
    """The namespaces that the informer was set to follow, an entry for each time."""

    def __init__(self, synced: bool = True) -> None:
        self.scopes: list[tuple[str, ...]] = []
        self.synced = synced
        self.lose_the_watch: Callable[[], None] = lambda: None

    def follow(self, namespaces: tuple[str, ...]) -> None:
        self.scopes.append(namespaces)

    def on_lost(self, handler: Callable[[], None]) -> None:
        self.lose_the_watch = handler


def made(client: Any, followed: Followed, clock: VirtualClock, state: CrdState) -> tuple[CrdWatch, ApplicationsGate]:
    """A watch that may not watch CRDs, and the gate that it minds."""
    gate = ApplicationsGate(AlwaysOpen())
    context = SimpleNamespace(
        reader=client,
        writer=client,
        applications_gate=gate,
        clock=clock,
        scope=SimpleNamespace(wanted=("a",)),
        status_part=lambda *_: None,
        metrics=Metrics(),
    )
    return CrdWatch(context, followed, state, watchable=False), gate


@asynccontextmanager
async def running(watch: CrdWatch) -> AsyncIterator[None]:
    task = asyncio.create_task(watch.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


UNWELL = [ServerError(503, "ServiceUnavailable", "x"), Throttled(429, "TooManyRequests", "x"), Unreachable("refused")]


@pytest.mark.parametrize("fault", UNWELL, ids=lambda fault: type(fault).__name__)
async def test_an_api_server_that_is_not_well_takes_nobodys_applications_away(fault: Exception) -> None:
    server, followed, clock = Server(), Followed(), VirtualClock()
    watch, gate = made(server, followed, clock, await crd_state(server))
    async with running(watch):
        server.discovery = fault
        await clock.advance(300)
        assert followed.scopes == [("a",)]
        assert (watch.problems, watch.notes) == ([], [])
        assert gate.ours
        server.discovery = KUBEVELAS
        await clock.advance(300)
        assert followed.scopes == [("a",), ()]
        assert watch.notes
        assert not gate.ours


@pytest.mark.parametrize(("synced", "seconds"), [(True, 60), (False, 10)])
async def test_a_crd_that_is_discovered_and_cannot_be_listed_is_looked_at_again_soon(
    synced: bool, seconds: int
) -> None:
    """An API server goes on to discover a CRD for a while after it has been deleted."""
    server, followed, clock = Server(), Followed(synced), VirtualClock()
    watch, _ = made(server, followed, clock, await crd_state(server))
    async with running(watch):
        server.discovery = NotFound(404, "NotFound", "x")
        await clock.advance(seconds - 1)
        assert followed.scopes == [("a",)]
        await clock.advance(1)
        assert followed.scopes == [("a",), ()]


async def test_a_watch_of_applications_that_is_lost_has_it_look_at_once() -> None:
    server, followed, clock = Server(), Followed(), VirtualClock()
    watch, gate = made(server, followed, clock, await crd_state(server))
    async with running(watch):
        await clock.advance(0.1)
        server.discovery = KUBEVELAS
        followed.lose_the_watch()
        assert gate.remaining() == 0, "nothing is written from the first sign on"
        await clock.advance(0.1)
        assert followed.scopes == [("a",), ()]
        assert gate.remaining() == 0


@pytest.mark.parametrize("fault", UNWELL, ids=lambda fault: type(fault).__name__)
async def test_nothing_is_written_until_the_doubt_is_over(fault: Exception) -> None:
    server, followed, clock = Server(), Followed(), VirtualClock()
    watch, gate = made(server, followed, clock, await crd_state(server))
    async with running(watch):
        await clock.advance(0.1)
        server.discovery = fault
        followed.lose_the_watch()
        await clock.advance(30)
        assert gate.remaining() == 0
        assert followed.scopes == [("a",)], "what is cached stays while it may be ours"
        server.discovery = OURS
        await clock.advance(2)
        assert gate.remaining() > 0


async def test_discovery_that_lags_behind_the_crd_is_not_believed_at_once() -> None:
    server, followed, clock = Server(), Followed(), VirtualClock()
    watch, gate = made(server, followed, clock, await crd_state(server))
    async with running(watch):
        await clock.advance(0.1)
        followed.lose_the_watch()
        await clock.advance(1.5)  # discovery says "ours" still
        assert gate.remaining() == 0
        server.discovery = KUBEVELAS
        await clock.advance(1)
        assert followed.scopes == [("a",), ()]
        assert gate.remaining() == 0


@dataclass
class Bench:
    """A scripted API server with Applications and their CRD, and the watch on it."""

    api: ScriptedApi
    clock: VirtualClock
    gate: ApplicationsGate
    context: Context
    applications: Informer[CustomResource]


@pytest.fixture
def bench() -> Bench:
    clock = VirtualClock()
    api = ScriptedApi(clock=clock)
    client = Writer(Reader(ScriptedTransport(api)), field_manager="test", gate=AlwaysOpen())
    gate, metrics = ApplicationsGate(AlwaysOpen()), Metrics()
    context: Any = SimpleNamespace(
        reader=client,
        writer=client,
        applications_gate=gate,
        clock=clock,
        scope=SimpleNamespace(wanted=("",)),
        status_part=lambda *_: None,
        metrics=metrics,
    )
    applications = Informer.on_api(client, APPLICATION, CUSTOM_RESOURCE, clock=clock, metrics=metrics, namespaces=())
    return Bench(api, clock, gate, context, applications)


def definition(category: str, generation: int) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "applications.core.oam.dev", "generation": generation},
        "spec": {"names": {"categories": [category]}},
    }


async def test_the_crd_itself_decides_where_discovery_still_says_ours(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lagging(_: Any) -> CrdState:
        return CrdState("ours")

    monkeypatch.setattr(coexistence, "crd_state", lagging)
    bench.api.put(CUSTOM_RESOURCE_DEFINITION, definition("wasmcloud", 1))
    watch = CrdWatch(bench.context, bench.applications, CrdState("ours"), watchable=True)
    async with running(watch):
        await bench.clock.advance(1)
        assert bench.gate.ours
        bench.api.put(CUSTOM_RESOURCE_DEFINITION, definition("oam", 2))
        await bench.clock.advance(1)
        assert not bench.gate.ours
        assert "KubeVela" in watch.notes[0]
        bench.api.put(CUSTOM_RESOURCE_DEFINITION, definition("wasmcloud", 3))
        await bench.clock.advance(1)
        assert (bench.gate.ours, watch.notes) == (True, [])
        bench.api.remove(CUSTOM_RESOURCE_DEFINITION, Key("", "applications.core.oam.dev"))
        await bench.clock.advance(1)
        assert not bench.gate.ours
        assert "is missing" in watch.problems[0]


class TheirServer(Server):
    """Has foreign Applications, and forbids the first write, as a standby's gate does."""

    def __init__(self, finalizers: dict[str, list[str]]) -> None:
        super().__init__(KUBEVELAS)
        self.finalizers = finalizers
        self.lists = 0
        self.forbids = 1
        self.refused = ""

    async def list_page(self, *_: Any, **__: Any) -> Page[CustomResource]:
        self.lists += 1
        return Page([self._item(name) for name in self.finalizers], "7")

    async def patch(self, _: Any, key: Key, patch: list[dict[str, Any]], *__: Any) -> CustomResource:
        if self.forbids:
            self.forbids -= 1
            raise WritesForbidden("not the leader")
        if key.name == self.refused:
            raise Forbidden(403, "Forbidden", "an admission webhook denied the request")
        at = int(patch[-1]["path"].rpartition("/")[2])
        assert patch[-2] == {"op": "test", "path": patch[-1]["path"], "value": FINALIZER}
        del self.finalizers[key.name][at]
        return self._item(key.name)

    def _item(self, name: str) -> CustomResource:
        return CustomResource(ObjectMeta(name=name, namespace="a", uid=name, finalizers=tuple(self.finalizers[name])))


async def test_our_finalizer_is_taken_off_foreign_objects_and_no_other_and_tried_again(bench: Bench) -> None:
    server = TheirServer({"ours": [FINALIZER], "both": ["theirs", FINALIZER], "theirs": ["theirs"]})
    bench.context.reader = bench.context.writer = server
    watch = CrdWatch(bench.context, bench.applications, CrdState("foreign"), watchable=False)
    async with running(watch):
        await bench.clock.advance(60)
        assert server.finalizers == {"ours": [], "both": ["theirs"], "theirs": ["theirs"]}
        lists = server.lists
        await bench.clock.advance(600)
        assert server.lists == lists, "once there are none, nobody looks for them any more"


async def test_a_foreign_object_that_may_not_be_changed_keeps_our_finalizer_on_no_other(bench: Bench) -> None:
    server = TheirServer({name: [FINALIZER] for name in ("a", "refused", "z")})
    server.refused = "refused"
    bench.context.reader = bench.context.writer = server
    async with running(CrdWatch(bench.context, bench.applications, CrdState("foreign"), watchable=False)):
        await bench.clock.advance(60)
        assert server.finalizers == {"a": [], "refused": [FINALIZER], "z": []}
        server.refused = ""
        await bench.clock.advance(60)
    assert server.finalizers["refused"] == []


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
async def test_without_the_right_to_read_the_api_service_discovery_decides(discovery: Any, state: str) -> None:
    server = Server(discovery, Forbidden(403, "Forbidden", "apiservices"))
    watch, _ = made(server, Followed(), VirtualClock(), await crd_state(server))
    assert (await crd_state(server)).served_by == state
    assert bool(watch.problems) == (state in ("missing", "unclear"))
    assert bool(watch.notes) == (state == "foreign")
