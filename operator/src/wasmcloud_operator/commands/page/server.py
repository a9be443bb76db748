"""`kubectl wasmcloud ui`: serves the page on loopback until Ctrl-C, to nobody without the token, and never to write."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import signal
import webbrowser
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.resources import files

import click
import msgspec
from aiohttp import web

from wasmcloud_operator import logs
from wasmcloud_operator.base.clock import SYSTEM_CLOCK
from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.commands.overview import why
from wasmcloud_operator.commands.overview.screens import Screen
from wasmcloud_operator.commands.overview.snapshot import Snapshot
from wasmcloud_operator.commands.page.live import Cluster
from wasmcloud_operator.kube.access import server_version
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.resources import Key

_ADDRESS = "127.0.0.1"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_HEADERS = {
    # Names of the cluster stay here: no content from elsewhere, no frame, no address that leaves.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
# So often an open stream has something to read: a browser then notices a server that is gone.
_PING_SECONDS = 15.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def page_screen(namespace: str, port: int, *, browser: bool) -> Screen:
    """Returns the screen of `ui`: the page's address, and the page for as long as the command runs."""

    async def screen(client: Reader) -> int:
        logs.configure("critical", "console")  # what goes wrong with the API server stands on the page
        await server_version(client)  # an API server that cannot be reached at all is worth no page
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        cluster = Cluster(client, namespace, SYSTEM_CLOCK)
        async with cluster.following(), PageServer(cluster, stop).serving(port) as address:
            click.echo(f"{address}\nCtrl-C ends it. Whoever has this address sees what you may see of the cluster.")
            if browser:
                await asyncio.to_thread(webbrowser.open, address)
            await stop.wait()
        return 0

    return screen


@dataclass(frozen=True, slots=True)
class PageServer:
    """The page's answers. `token` is the first part of every path."""

    cluster: Cluster
    stop: asyncio.Event
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[str]:
        """Serve while the scope is open; port 0 takes a free one. Yields the page's address. Raises OSError."""
        app = web.Application(middlewares=[self._guard])
        site = f"/{self.token}"
        app.add_routes(
            [
                web.get(f"{site}/", self._file("index.html")),
                web.get(f"{site}/events", self._events),
                web.get(site + "/why/{kind}/{namespace}/{name}", self._why),
                *(web.get(f"{site}/{name}", self._file(name)) for name in _FILES),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, _ADDRESS, port).start()
            yield f"http://{_ADDRESS}:{runner.addresses[0][1]}{site}/"
        finally:
            self.stop.set()
            await runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer only who has the token, and asks for this very address: another name may be one that was rebound."""
        own = request.transport.get_extra_info("sockname") if request.transport is not None else None
        if own is None or request.headers.get("Host") != f"{_ADDRESS}:{own[1]}":
            return _refused(421, "this page is served at the address that was printed, and at no other")
        given = request.path.split("/")[1]
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            return _refused(403, "open the whole address that was printed: it has a token")
        try:
            return await handler(request)
        except web.HTTPException as error:
            return _refused(error.status, error.reason)

    def _file(self, name: str) -> Handler:
        kind = _TYPES[name[name.rindex(".") :]]

        async def answer(_: web.Request) -> web.StreamResponse:
            return web.Response(body=_FILES[name], content_type=kind, charset="utf-8", headers=_HEADERS)

        return answer

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: first every row, then those that changed, and the ids of those that are gone."""
        response = web.StreamResponse(headers={**_HEADERS, "Content-Type": "text/event-stream"})
        await response.prepare(request)
        live = self.cluster.live
        sent: Mapping[str, JsonObject] = {}
        version = 0
        while not self.stop.is_set():
            try:
                async with asyncio.timeout(_PING_SECONDS):
                    version = await self._later_than(version)
            except TimeoutError:
                await response.write(b": nothing new\n\n")
                continue
            now = live.rows
            news = {
                "all": not sent,
                "put": [row for key, row in now.items() if sent.get(key) is not row],
                "gone": [key for key in sent if key not in now],
            }
            sent = now
            await response.write(b"data: " + msgspec.json.encode(news) + b"\n\n")
        return response

    async def _later_than(self, version: int) -> int:
        """Wait for later rows, or for the end."""
        later = asyncio.ensure_future(self.cluster.live.later_than(version))
        ended = asyncio.ensure_future(self.stop.wait())
        try:
            await asyncio.wait({later, ended}, return_when=asyncio.FIRST_COMPLETED)
            return later.result() if later.done() else version
        finally:
            later.cancel()
            ended.cancel()

    async def _why(self, request: web.Request) -> web.StreamResponse:
        kind, namespace, name = (request.match_info[part] for part in ("kind", "namespace", "name"))
        causes = causes_of(await self.cluster.explained(kind, Key(namespace, name)), kind, namespace, name)
        if causes is None:
            return _refused(404, f"there is no {kind} {namespace}/{name} any more")
        body = {"causes": [msgspec.to_builtins(cause) for cause in causes]}
        return web.Response(body=msgspec.json.encode(body), content_type="application/json", headers=_HEADERS)


def causes_of(snapshot: Snapshot, kind: str, namespace: str, name: str) -> list[why.Cause] | None:
    """Returns why an object is not as it should be, as `kubectl wasmcloud why` does; None for one that is not there."""
    if kind == "service":
        return why.of_service(Key(namespace, name), snapshot)
    explain = {"pool": (snapshot.pools, why.of_pool), "application": (snapshot.applications, why.of_application)}
    items, of = explain.get(kind, ((), why.of_pool))
    found = next((item for item in items if item.metadata.key == (namespace, name)), None)
    return of(found, snapshot) if found is not None else None


def _refused(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=f"{text}\n", headers=_HEADERS)


_FILES = {
    entry.name: entry.read_bytes()
    for entry in files("wasmcloud_operator.commands.page").joinpath("site").iterdir()
    if entry.name[entry.name.rfind(".") :] in _TYPES
}
