"""Single requests to the API server: each under its namespace's slots, traced, measured, and decoded."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import unquote

from wasmcloud_operator.base.jsontypes import Json
from wasmcloud_operator.kube.errors import ApiError, GarbledAnswer
from wasmcloud_operator.kube.slots import Slots
from wasmcloud_operator.kube.timestamps import from_http_date
from wasmcloud_operator.kube.tracing import Span
from wasmcloud_operator.kube.transport import Response, Timeouts

if TYPE_CHECKING:
    from wasmcloud_operator.kube.metrics import Metrics  # a command has none, and waits for no library of them

R = TypeVar("R")

Allowed = Callable[[str, str], AbstractContextManager[Timeouts]]
"""Called with method and path right before a request: whether it may go (else it raises), and with which deadlines."""


class Sends(Protocol):
    """What carries requests: a `Transport`, or a scripted one in tests."""

    @property
    def host(self) -> str:
        """The API server's URL."""

    @property
    def server_identity(self) -> str:
        """What distinguishes the API server from others at the same URL."""

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
        """As `Transport.request`."""

    def stream(
        self,
        path: str,
        *,
        timeouts: Timeouts,
        query: Sequence[tuple[str, str]],
        headers: Mapping[str, str] | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterator[list[bytes]]]:
        """As `Transport.stream`."""


@dataclass(slots=True)
class ServerTime:
    """The last answer's header `Date`, and when its request was sent: by both, time is ahead by a second at most."""

    date: datetime | None = None
    asked: float = 0.0


@dataclass(frozen=True, slots=True)
class Calls:
    """Sends single requests, each under one of `slots` for its namespace, traced and measured."""

    transport: Sends
    slots: Slots
    metrics: Metrics | None
    span: Span
    heard: ServerTime = field(default_factory=ServerTime)

    @property
    def server_now(self) -> datetime | None:
        """The API server's wall clock, to a second or what its last answer took; None before the first answer."""
        if self.heard.date is None:
            return None
        return self.heard.date + timedelta(seconds=time.perf_counter() - self.heard.asked)

    async def send(
        self,
        method: str,
        path: str,
        decode: Callable[[bytes], R],
        *,
        allowed: Allowed,
        query: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: Json = None,
    ) -> R:
        """Returns the decoded answer. `allowed` is asked for the request's deadlines once it has a slot."""
        async with self.slots.hold(_namespace_of(path), f"{method} {path}"):
            with allowed(method, path) as timeouts, self._traced(method, path), self.measured(method) as answered:
                response = await self.transport.request(
                    method, path, timeouts=timeouts, query=tuple(query), headers=headers, body=body
                )
                answered(response.status, response.headers.get("Date", ""))
        return _decoded(decode, response, f"{method} {path}")

    def _traced(self, method: str, path: str) -> AbstractContextManager[object]:
        """A span around one request and its answer. A watch has none: it belongs to no reconcile."""
        return self.span(method, {"http.request.method": method, "url.path": path})

    @contextmanager
    def measured(self, method: str) -> Iterator[Callable[[int, str], None]]:
        """A scope of one request, whose status and `Date` the yielded function takes."""
        start = time.perf_counter()
        code = "<error>"

        def answered(status: int, date: str) -> None:
            nonlocal code
            code = str(status)
            if (heard := from_http_date(date)) is not None:
                self.heard.date, self.heard.asked = heard, start

        try:
            yield answered
        except ApiError as error:
            code = str(error.code)
            raise
        finally:
            if self.metrics is not None:
                self.metrics.requests.labels(code, method).inc()
                self.metrics.request_seconds.labels(method).observe(time.perf_counter() - start)


def _namespace_of(path: str) -> str:
    """Returns the namespace of a request's path; empty for a request that concerns all of them or none."""
    _, found, rest = path.partition("/namespaces/")
    namespace, inside, _ = rest.partition("/")
    return unquote(namespace) if found and inside else ""


def _decoded(decode: Callable[[bytes], R], response: Response, request: str) -> R:
    try:
        return decode(response.body)
    except GarbledAnswer as error:
        raise GarbledAnswer(f"{request}: {error}") from error
