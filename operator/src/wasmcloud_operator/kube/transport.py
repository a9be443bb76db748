"""Requests and watch streams to the API server: every one has deadlines, every failure a name."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import re
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec

from wasmcloud_operator.base.jsontypes import Json
from wasmcloud_operator.kube.credentials import LIBRARY, CredentialLoader, Credentials
from wasmcloud_operator.kube.errors import (
    DeadlineExceeded,
    KubeError,
    NoCredentials,
    Status,
    Unreachable,
    error_from_status,
)
from wasmcloud_operator.kube.sending import checking
from wasmcloud_operator.kube.tls import certificates_named, identity, socket_with_keepalive, tls_context, tls_material

_READ_BUFFER = 2**17
# For the Lease: one call at a time, and another connection when the first one is dead.
_RESERVED = 2
_REFRESH_SECONDS = 60.0
# Longer than any call has.
_RETIRE_SECONDS = 75.0
# The API server sends a watch's headers at once, also when there is nothing to watch yet.
_OPEN_SECONDS = 30.0
_APPLY = "application/apply-patch+yaml"
# An apply is read as YAML, where these characters are refused or are ends of lines unless they are escaped. All others
# must not be: a pair of escapes for one character, as JSON has it, is refused.
_SPECIAL = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
# The largest object that etcd takes is 1.5 MB; a line that goes on for ever must not fill the memory.
_MAX_LINE = 2**26


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Deadlines of one request, in seconds: to connect, between two reads, and in all (None: endless, for watches)."""

    total: float | None
    connect: float = 5.0
    read: float = 30.0

    def to_aiohttp(self) -> aiohttp.ClientTimeout:
        """The same as aiohttp takes it."""
        return aiohttp.ClientTimeout(
            total=self.total, connect=self.connect, sock_connect=self.connect, sock_read=self.read
        )


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """How to reach the API server.

    `trust_env` honours proxy variables, at the price of 0.4 ms a request. `strict_x509` False accepts CA certificates
    that Python 3.13 finds unclean.
    """

    credentials: Credentials = field(default_factory=Credentials)
    max_connections: int = 64
    trust_env: bool = False
    strict_x509: bool = True
    user_agent: str = "kube"


@dataclass(frozen=True, slots=True)
class Response:
    """An answer with its whole body."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class Transport:
    """Sends requests to the API server.

    Short calls and watches have connection pools of their own, since a watch holds its connection for good. So have
    the calls of `reserved`, which must not wait for others.
    """

    def __init__(self, options: ConnectionOptions, configuration: Any, loader: CredentialLoader) -> None:
        self._options = options
        self._configuration = configuration
        self._loader = loader
        # The library's own session (no keepalive, no bound on watches), and those of certificates that were replaced.
        self._unused: list[aiohttp.ClientSession] = []
        self._retiring: set[asyncio.Task[None]] = set()
        with certificates_named():
            self._session_of, tls = self._session_parts(configuration), tls_context(configuration)
        self.server_identity = identity(configuration)
        # One is made and the others are copies: each that is made reads the system's authorities, 25 ms.
        made = self._made()
        self._calls = self._api_client(made, tls, options.max_connections)
        self._watches = self._api_client(made, tls, 0)
        self._reserved = self._api_client(made, tls, _RESERVED)
        self._stale = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def open(cls, options: ConnectionOptions) -> AsyncIterator[Transport]:
        """Load the credentials, open the connection pools and keep the credentials fresh.

        Raises NoCredentials, with what to do, if there are none that are usable; Unreachable if a plugin fails.
        """
        configuration = LIBRARY.configuration()
        configuration.disable_strict_ssl_verification = not options.strict_x509
        loader = CredentialLoader(options.credentials)
        async with AsyncExitStack() as stack:
            stack.callback(loader.close)
            await loader.load(configuration)
            transport = cls(options, configuration, loader)
            stack.push_async_callback(transport._close)
            refresher = asyncio.create_task(transport._keep_fresh(), name="credentials")
            stack.push_async_callback(_cancelled, refresher)
            yield transport

    async def _close(self) -> None:
        await _cancelled(*self._retiring)
        current = [api_client.rest_client.pool_manager for api_client in (self._calls, self._watches, self._reserved)]
        for session in (*self._unused, *current):
            await session.close()

    def reserved(self) -> Transport:
        """Returns the same way to the API server, with connections for short calls that nobody else uses."""
        other = copy.copy(self)
        other._calls = self._reserved  # noqa: SLF001 - its own
        return other

    @property
    def host(self) -> str:
        """The API server's URL."""
        return str(self._configuration.host)

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
        """Send one request and read the whole answer.

        Raises the named ApiError for an answer of 400 and above; DeadlineExceeded or Unreachable if there is none.
        """
        with _failures_named(method, path):
            response = await self._send(self._calls, method, path, timeouts, query, headers, body)
            async with response:
                content = await response.read()
        if response.status >= 400:
            raise self._error(response, content)
        return Response(response.status, content, response.headers)

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        *,
        timeouts: Timeouts,
        query: Sequence[tuple[str, str]],
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[AsyncIterator[list[bytes]]]:
        """Open a watch. Yields batches of whole lines of any length, each batch what one read brought.

        Raises as `request` does, also while lines are read.
        """
        with _failures_named("GET", path):
            async with asyncio.timeout(_OPEN_SECONDS):
                response = await self._send(self._watches, "GET", path, timeouts, query, headers, None)
        try:
            if response.status >= 400:
                with _failures_named("GET", path):
                    async with asyncio.timeout(_OPEN_SECONDS):
                        content = await response.read()
                raise self._error(response, content)
            yield _lines(response, path)
        finally:
            # Closed, not released to the pool: what is still unread makes the connection useless for others.
            response.close()

    async def _send(
        self,
        api_client: Any,
        method: str,
        path: str,
        timeouts: Timeouts,
        query: Sequence[tuple[str, str]],
        headers: Mapping[str, str] | None,
        body: Json,
    ) -> aiohttp.ClientResponse:
        sent_headers, sent_body = _as_sent(headers or {}, body)
        response: aiohttp.ClientResponse = await api_client.call_api(
            f"{path}?{_query_text(tuple(query))}" if query else path,
            method,
            header_params=sent_headers,
            body=sent_body,
            auth_settings=["BearerToken"],
            _preload_content=False,
            _request_timeout=timeouts.to_aiohttp(),
        )
        return response

    def _error(self, response: aiohttp.ClientResponse, content: bytes) -> KubeError:
        if response.status == 401:
            self._stale.set()
        return error_from_status(Status.parse(content), response.status, response.headers)

    async def _keep_fresh(self) -> None:
        """Read the credentials again every minute, and at once when the server no longer accepts them."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_REFRESH_SECONDS):
                    await self._stale.wait()
            rejected = self._stale.is_set()
            self._stale.clear()
            fresh = LIBRARY.configuration()
            try:
                await self._loader.load(fresh, rejected=rejected)
                self._take_over(fresh)
            except KubeError as error:
                _log().warning("credentials could not be read again; the old ones stay in use", error=str(error))
            # At most one reading a second, however many requests are refused.
            await asyncio.sleep(1)

    def _take_over(self, fresh: Any) -> None:
        if fresh.host != self.host:  # as after `kubectl config use-context`: they are for that one's eyes
            raise NoCredentials(f"the kubeconfig names another API server now, {fresh.host}")
        self._configuration.api_key = fresh.api_key
        with certificates_named():
            parts = self._session_parts(fresh)
            if parts == self._session_of:
                return
            fresh.disable_strict_ssl_verification = self._configuration.disable_strict_ssl_verification
            tls = tls_context(fresh)
        self._session_of = parts
        for api_client in (self._calls, self._watches, self._reserved):
            old = api_client.rest_client.pool_manager
            api_client.rest_client.pool_manager = self._session(tls, old.connector.limit)
            retiring = asyncio.create_task(self._retire(old), name="replaced connections")
            self._retiring.add(retiring)
            retiring.add_done_callback(self._retiring.discard)
        _log().info("certificates were replaced: new connections use the new ones")

    async def _retire(self, session: aiohttp.ClientSession) -> None:
        """Close the connections once their calls have ended; the watches on them are opened anew."""
        self._unused.append(session)
        await asyncio.sleep(_RETIRE_SECONDS)
        self._unused.remove(session)
        await session.close()

    def _session_parts(self, configuration: Any) -> tuple[object, ...]:
        """Returns what a session is made of, to see whether another one is needed."""
        return (tls_material(configuration), tuple(self._loader.headers))

    def _made(self) -> Any:
        api_client = LIBRARY.api_client(configuration=self._configuration)
        api_client.user_agent = self._options.user_agent
        self._unused.append(api_client.rest_client.pool_manager)
        return api_client

    def _api_client(self, made: Any, tls: ssl.SSLContext, limit: int) -> Any:
        api_client = copy.copy(made)
        api_client.rest_client = copy.copy(made.rest_client)
        api_client.rest_client.pool_manager = self._session(tls, limit)
        return api_client

    def _session(self, tls: ssl.SSLContext, limit: int) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=limit, ssl=tls, socket_factory=socket_with_keepalive)
        return aiohttp.ClientSession(
            connector=connector,
            headers=self._loader.headers,
            trust_env=self._options.trust_env,
            read_bufsize=_READ_BUFFER,
            trace_configs=[checking()],
        )


def _log() -> Any:
    import structlog  # noqa: PLC0415 - a command that ends at once has nothing to log, and starts a fifth faster

    return structlog.get_logger()


async def _cancelled(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def _failures_named(method: str, path: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:  # aiohttp's timeouts are TimeoutErrors too
        raise DeadlineExceeded(f"{method} {path}: no answer in time") from error
    # ValueError: a URL, header or body that aiohttp cannot make sense of.
    except (aiohttp.ClientError, OSError, ValueError) as error:
        if isinstance(error.__cause__, KubeError):  # what was about to be sent was refused
            raise error.__cause__ from None
        raise Unreachable(f"{method} {path}: {type(error).__name__} {error}") from error


def _as_sent(headers: Mapping[str, str], body: Json) -> tuple[dict[str, str], Json | bytes]:
    """Returns the headers and the body of a request as the library takes them.

    It sends bytes as they are unless their type is one of JSON; of anything else it makes a copy and the text of that,
    which takes twenty times as long. So an apply's type has a parameter, which the API server disregards.
    """
    sent = dict(headers)
    if sent.get("Content-Type") != _APPLY:
        return sent, body
    sent["Content-Type"] = f"{_APPLY}; charset=utf-8"
    text = msgspec.json.encode(body)
    if text.isascii() and b"\x7f" not in text:
        return sent, text
    return sent, _SPECIAL.sub(_escaped, text.decode()).encode()


@lru_cache(maxsize=64)  # nearly all writes have the same
def _query_text(query: tuple[tuple[str, str], ...]) -> str:
    return urlencode(query)


def _escaped(character: re.Match[str]) -> str:
    return f"\\u{ord(character[0]):04x}"


async def _lines(response: aiohttp.ClientResponse, path: str) -> AsyncIterator[list[bytes]]:
    rest: list[bytes] = []
    size = 0
    chunks = response.content.iter_any()
    while True:
        with _failures_named("GET", path):
            chunk = await anext(chunks, None)
        if chunk is None:
            return  # what is left of a line that was cut off comes again with the next watch
        head, newline, tail = chunk.rpartition(b"\n")
        if newline:
            lines = b"".join((*rest, head)).split(b"\n")
            rest, size = [tail], len(tail)
            yield lines
        else:
            rest.append(tail)
            size += len(tail)
            if size > _MAX_LINE:
                raise Unreachable(f"GET {path}: a line of more than {_MAX_LINE} bytes; is this an API server?")
