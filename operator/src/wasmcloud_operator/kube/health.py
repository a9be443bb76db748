"""The HTTP endpoint: `/metrics`, `/healthz`, `/readyz`, `/debug/keys`."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import msgspec
import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.kube.metrics import Metrics

log = structlog.get_logger()

# Returns what is wrong now, a line each; nothing when all is well.
Check = Callable[[], Iterable[str]]


@asynccontextmanager
async def serve(
    address: str,
    *,
    metrics: Metrics,
    alive: Check,
    ready: Check,
    notes: Check = tuple,
    debug: Callable[[], JsonObject] = dict,
) -> AsyncIterator[str]:
    """Serve on `host:port` (port 0: a free one). Yields the address that was taken.

    `debug` is shown at `/debug/keys` as JSON, to callers on this very host alone: it names objects of all tenants.
    `notes` are shown by `/readyz` besides: what whoever looks should know though all is well enough.

    The endpoint runs on the operator's own event loop, so a stuck loop fails the liveness probe by not answering.
    """
    host, _, port = address.rpartition(":")

    async def show_metrics(_: web.Request) -> web.Response:
        body = generate_latest(metrics.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(_: web.Request) -> web.Response:
        return _answer(alive)

    async def readyz(_: web.Request) -> web.Response:
        return _answer(ready, notes)

    async def debug_keys(request: web.Request) -> web.Response:
        if not _on_loopback(request.remote):
            raise web.HTTPForbidden(text="only from this host: use kubectl port-forward\n")
        body = msgspec.json.format(msgspec.json.encode(debug()), indent=2)
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.add_routes([web.get("/metrics", show_metrics), web.get("/healthz", healthz), web.get("/readyz", readyz)])
    app.add_routes([web.get("/debug/keys", debug_keys)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host.strip("[]") or None, int(port))
        await site.start()
        taken = f"{host}:{runner.addresses[0][1]}"
        log.info("serving metrics and probes", address=taken)
        yield taken
    finally:
        await runner.cleanup()


def _on_loopback(address: str | None) -> bool:
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False


def _answer(check: Check, notes: Check = tuple) -> web.Response:
    problems = list(check())
    return web.Response(status=503 if problems else 200, text="\n".join([*(problems or ["ok"]), *notes()]) + "\n")
