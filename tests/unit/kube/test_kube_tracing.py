"""Traces: sent to a collector that the environment names, and nothing at all otherwise."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from wasmcloud_operator.kube.tracing import no_span, tracing


def test_without_a_collector_nothing_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    with tracing("test", "1") as span:
        assert span is no_span


async def test_spans_reach_the_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[bytes] = []

    async def take(request: web.Request) -> web.Response:
        received.append(await request.read())
        return web.Response()

    app = web.Application()
    app.add_routes([web.post("/v1/traces", take)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{runner.addresses[0][1]}")

    def work() -> None:
        with tracing("test-service", "1") as span, span("reconcile widgets", {"object": "ns/name"}):
            pass

    try:
        async with asyncio.timeout(60):
            await asyncio.to_thread(work)
    finally:
        await runner.cleanup()
    sent = b"".join(received)
    assert b"reconcile widgets" in sent
    assert b"ns/name" in sent
    assert b"test-service" in sent
