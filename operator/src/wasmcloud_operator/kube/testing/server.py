"""The scripted API over HTTP on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from aiohttp import web

from wasmcloud_operator.kube.testing.api import Recorded, Reply, ScriptedApi
from wasmcloud_operator.kube.testing.faults import ConnectionCut, Fault


@dataclass(frozen=True, slots=True)
class ScriptedApiServer:
    """A server that is running; `url` is its address."""

    api: ScriptedApi
    url: str

    @classmethod
    @asynccontextmanager
    async def serve(cls, api: ScriptedApi) -> AsyncIterator[ScriptedApiServer]:
        """Serve on a free port of 127.0.0.1; every connection is closed at the end."""

        async def handle(request: web.Request) -> web.StreamResponse:
            return await _handle(api, request)

        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield cls(api, f"http://127.0.0.1:{runner.addresses[0][1]}")
        finally:
            await runner.cleanup()

    def kubeconfig(self, path: Path) -> Path:
        """Write a kubeconfig for it, with a token that means nothing."""
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "scripted",
            "clusters": [{"name": "scripted", "cluster": {"server": self.url}}],
            "users": [{"name": "scripted", "user": {"token": "scripted"}}],
            "contexts": [{"name": "scripted", "context": {"cluster": "scripted", "user": "scripted"}}],
        }
        path.write_bytes(msgspec.json.encode(document))
        return path


async def _handle(api: ScriptedApi, request: web.Request) -> web.StreamResponse:
    content = await request.read()
    body = msgspec.json.decode(content) if content else None
    recorded, fault = api.record(request.method, request.path, dict(request.query), dict(request.headers), body)
    if recorded.watch and not api.refused(recorded, fault):
        return await _stream(api, request, recorded, fault)
    reply: Reply = await api.answer(recorded, fault)
    headers = {"Content-Type": "application/json", **reply.headers}
    return web.Response(status=reply.code, body=reply.body, headers=headers)


async def _stream(
    api: ScriptedApi, request: web.Request, recorded: Recorded, fault: Fault | None
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    try:
        async with aclosing(api.stream(recorded, fault)) as chunks:
            async for chunk in chunks:
                await response.write(chunk)
    except ConnectionCut:
        if request.transport is not None:
            request.transport.abort()
    return response
