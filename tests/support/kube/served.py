"""A client of a scripted API server over real sockets, with each of its calls."""

from __future__ import annotations

from support.kube.bench import WIDGETS
from support.kube.objects import WIDGET, key, widget
from wasmcloud_operator.kube.client import MERGE_PATCH, Reader, Writer
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.testing import ScriptedApi
from wasmcloud_operator.kube.transport import Transport


class Gate:
    seconds = float("inf")

    def remaining(self) -> float:
        return self.seconds


class Served:
    def __init__(self, api: ScriptedApi, transport: Transport) -> None:
        self.api = api
        self.transport = transport
        self.gate = Gate()
        self.metrics = Metrics()
        self.client = Writer(Reader(transport, metrics=self.metrics), field_manager="tests", gate=self.gate)


async def watch_once(client: Writer) -> None:
    async with client.watch(WIDGET, idle=90.0) as batches:
        await anext(batches)


async def read_on(client: Writer, idle: float) -> None:
    async with client.watch(WIDGET, idle=idle) as batches:
        async for _ in batches:
            pass


# Every public coroutine of the client that sends something.
CALLS = {
    "get_path": lambda c: c.get_path("/version"),
    "get_text": lambda c: c.get_text("/version"),
    "get": lambda c: c.get(WIDGET, key("a")),
    "find": lambda c: c.find(WIDGET, key("a")),
    "get_whole": lambda c: c.get_whole(WIDGET, key("a")),
    "find_whole": lambda c: c.find_whole(WIDGET, key("a")),
    "get_as": lambda c: c.get_as(WIDGET, key("a"), WIDGETS),
    "list_page": lambda c: c.list_page(WIDGET, WIDGETS, query=[("limit", "1")]),
    "review": lambda c: c.review(WIDGET, widget("review")),
    "list_all": lambda c: c.list_all(WIDGET, WIDGETS),
    "watch": watch_once,
    "apply": lambda c: c.apply(WIDGET, widget("a"), WIDGETS),
    "patch": lambda c: c.patch(WIDGET, key("a"), {"spec": {"n": 1}}, MERGE_PATCH, WIDGETS),
    "create": lambda c: c.create(WIDGET, widget("new"), namespace="ns"),
    "update": lambda c: c.update(WIDGET, key("a"), widget("a"), WIDGETS),
    "delete": lambda c: c.delete(WIDGET, key("a"), uid=""),
}
WRITES = ("apply", "patch", "create", "update", "delete")
