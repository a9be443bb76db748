"""The scripted API in memory: no sockets, so that it runs on the virtual clock."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager

from wasmcloud_operator.base.jsontypes import Json
from wasmcloud_operator.kube.errors import DeadlineExceeded, Status, Unreachable, error_from_status
from wasmcloud_operator.kube.testing.api import Recorded, ScriptedApi
from wasmcloud_operator.kube.testing.faults import ConnectionCut, Fault
from wasmcloud_operator.kube.transport import Response, Timeouts


class ScriptedTransport:
    """What a `Client` sends through, played by a `ScriptedApi`.

    `partitioned` True takes the network away: requests wait for their deadline, streams fall silent.
    """

    def __init__(self, api: ScriptedApi) -> None:
        self.api = api
        self.partitioned = False
        self.timeouts: list[Timeouts] = []

    @property
    def host(self) -> str:
        """A name for it."""
        return "https://scripted.invalid"

    async def request(
        self,
        method: str,
        path: str,
        *,
        timeouts: Timeouts,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: Json = None,
    ) -> Response:
        """As `Transport.request`; the deadline is on the API's clock."""
        self.timeouts.append(timeouts)
        try:
            async with self.api.clock.timeout(timeouts.total):
                await self._through(timeouts)
                request, fault = self.api.record(method, path, dict(query), headers or {}, body)
                reply = await self.api.answer(request, fault)
                await self._through(timeouts)
        except TimeoutError as error:
            raise DeadlineExceeded(f"{method} {path}: no answer in time") from error
        if reply.code >= 400:
            raise error_from_status(Status.parse(reply.body), reply.code, reply.headers)
        return Response(reply.code, reply.body, reply.headers)

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        *,
        timeouts: Timeouts,
        query: Sequence[tuple[str, str]],
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[AsyncIterator[list[bytes]]]:
        """As `Transport.stream`."""
        self.timeouts.append(timeouts)
        await self._through(timeouts)
        request, fault = self.api.record("GET", path, dict(query), headers or {}, None)
        if self.api.refused(request, fault):
            try:
                async with self.api.clock.timeout(timeouts.read):
                    reply = await self.api.answer(request, fault)
            except TimeoutError as error:
                raise DeadlineExceeded(f"GET {path}: no answer in time") from error
            raise error_from_status(Status.parse(reply.body), reply.code, reply.headers)
        async with aclosing(self._lines(request, fault, timeouts)) as lines:
            yield lines

    async def _lines(
        self, request: Recorded, fault: Fault | None, timeouts: Timeouts
    ) -> AsyncGenerator[list[bytes], None]:
        async with aclosing(self.api.stream(request, fault)) as chunks:
            while True:
                try:
                    chunk = await anext(chunks, None)
                except ConnectionCut:
                    raise Unreachable(f"GET {request.path}: the connection broke") from None
                await self._through(timeouts)
                if chunk is None:
                    return
                if chunk.endswith(b"\n"):
                    yield [chunk[:-1]]

    async def _through(self, timeouts: Timeouts) -> None:
        """Pass, or wait in vain while the network is away; a connection of that time never comes back."""
        if self.partitioned:
            await self.api.clock.sleep(timeouts.total or timeouts.read)
            raise DeadlineExceeded("the network is away")
