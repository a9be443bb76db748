"""Traces: a reconcile with its requests, sent to a collector that the environment names; nothing at all otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import structlog
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from support.kube.bench import WIDGETS, KubeBench
from support.kube.objects import WIDGET, key, widget
from wasmcloud_operator import logs
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.kube.client import MERGE_PATCH, Reader, Writer
from wasmcloud_operator.kube.errors import NotFound
from wasmcloud_operator.kube.tracing import Span, no_span, tracing


def test_without_a_collector_nothing_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    with tracing("test", "1") as span:
        assert span is no_span


@contextlib.asynccontextmanager
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[bytes]]:
    """A collector on loopback that the environment names; what it got."""
    received: list[bytes] = []

    async def take(request: web.Request) -> web.Response:
        received.append(await request.read())
        return web.Response()

    app = web.Application()
    app.add_routes([web.post("/v1/traces", take)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{runner.addresses[0][1]}")
    try:
        yield received
    finally:
        await runner.cleanup()


async def traced(monkeypatch: pytest.MonkeyPatch, work: Callable[[Span], Awaitable[None]]) -> dict[str, Sent]:
    """The spans of some work by name, as a collector gets them; the work has a loop of its own, as in the operator."""

    def all_of_it() -> None:
        with tracing("test-service", "1") as span:
            asyncio.run(in_the_loop(span))

    async def in_the_loop(span: Span) -> None:
        await work(span)

    async with collector(monkeypatch) as received, asyncio.timeout(60):
        await asyncio.to_thread(all_of_it)
    spans: dict[str, Sent] = {}
    for body in received:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            assert "test-service" in str(resource.resource)
            spans |= {span.name: span for scope in resource.scope_spans for span in scope.spans}
    return spans


def attributes(span: Sent) -> dict[str, str]:
    return {each.key: each.value.string_value for each in span.attributes}


async def test_requests_to_the_api_server_are_children_of_their_reconcile(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(span: Span) -> None:
        bench = KubeBench()
        client = Writer(Reader(bench.transport, span=span), field_manager="tests", gate=AlwaysOpen())
        with span("reconcile widgets", {"object": "ns/name"}):
            with contextlib.suppress(NotFound):
                await client.get(WIDGET, key("name"))
            bench.api.put(WIDGET, widget("name"))
            await client.patch(WIDGET, key("name"), {"spec": {"a": 1}}, MERGE_PATCH, WIDGETS)

    spans = await traced(monkeypatch, work)
    outer = spans["reconcile widgets"]
    assert attributes(outer) == {"object": "ns/name"}
    for method in ("GET", "PATCH"):
        request = spans[method]
        assert (request.trace_id, request.parent_span_id) == (outer.trace_id, outer.span_id)
        assert attributes(request)["http.request.method"] == method
        assert attributes(request)["url.path"].endswith("/widgets/name")
    assert spans["GET"].status.code == Status.STATUS_CODE_ERROR, "it was not found"


async def test_a_log_line_names_its_trace(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")

    async def work(span: Span) -> None:
        with span("reconcile widgets", {}):
            structlog.get_logger().info("within")
        structlog.get_logger().info("without")

    spans = await traced(monkeypatch, work)
    lines = {line["event"]: line for line in map(json.loads, capsys.readouterr().err.splitlines())}
    outer = spans["reconcile widgets"]
    assert lines["within"]["trace_id"] == outer.trace_id.hex()
    assert lines["within"]["span_id"] == outer.span_id.hex()
    assert not {"trace_id", "span_id"} & lines["without"].keys()
