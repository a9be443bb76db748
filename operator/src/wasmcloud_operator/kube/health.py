"""The HTTP endpoint: `/metrics`, `/healthz`, `/readyz`, `/debug/keys`; and a watchdog over the event loop."""

from __future__ import annotations

import faulthandler
import ipaddress
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import msgspec
import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from wasmcloud_operator.kube.clock import Clock
from wasmcloud_operator.kube.jsontypes import JsonObject
from wasmcloud_operator.kube.metrics import Metrics

log = structlog.get_logger()

# Returns what is wrong now, a line each; nothing when all is well.
Check = Callable[[], Iterable[str]]

_BEAT_SECONDS = 1.0
# A loop that stood still for this long is reported with the stack it stands in.
_STUCK_SECONDS = 10.0


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


async def watch_loop(clock: Clock) -> None:
    """Have the stack of a loop that stands still written to stderr, from another thread, until cancelled."""
    try:
        while True:
            faulthandler.dump_traceback_later(_STUCK_SECONDS, repeat=False, file=sys.__stderr__ or sys.stderr)
            await clock.sleep(_BEAT_SECONDS)
    finally:
        faulthandler.cancel_dump_traceback_later()
