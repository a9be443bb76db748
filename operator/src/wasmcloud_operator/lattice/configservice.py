"""The config service: answers starting hosts with registry credentials, the way to serve several registries.

A host that runs with `WASMCLOUD_CONFIG_SERVICE` asks once, at its start, and goes on without when nobody answers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

import structlog

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.lattice.connection_types import Channel, Message
from wasmcloud_operator.lattice.control import RegistryCredential, credentials_json
from wasmcloud_operator.lattice.errors import LatticeError
from wasmcloud_operator.lattice.log_limiter import LogLimiter
from wasmcloud_operator.lattice.subjects import ControlSubjects

_log = structlog.get_logger(__name__)

Labels = Mapping[str, str]
CredentialsFor = Callable[[Labels], Awaitable[Mapping[str, RegistryCredential] | None]]

_QUEUE_LIMIT = 1_000
_WORKERS = 4


class ConfigService:
    """Answers `wasmbus.cfg.<lattice>.req` with what `credentials_for` returns for the asking host's labels.

    `credentials_for` returns credentials by registry host, or None to leave the answer to somebody else (not our host).
    It gets `timeout` seconds; a request that is older than that when its turn comes is dropped, as the host has
    given up by then. Every such service in the lattice hears every request, as only one knows the host: another's may
    be of another cluster, or connected with the credentials of another pool.
    """

    def __init__(
        self,
        connection: Channel,
        lattice: str,
        credentials_for: CredentialsFor,
        *,
        clock: Clock,
        timeout: float = 5.0,
    ) -> None:
        self._connection = connection
        self._subject = ControlSubjects(lattice).config_service
        self._credentials_for = credentials_for
        self._clock = clock
        self._timeout = timeout
        self._log_limiter = LogLimiter(clock.monotonic)
        self._requests: asyncio.Queue[tuple[float, Message]] = asyncio.Queue(_QUEUE_LIMIT)

    def __repr__(self) -> str:
        return f"<ConfigService {self._subject} {self._requests.qsize()} waiting>"

    async def run(self) -> None:
        """Answer until cancelled."""
        subscription = await self._connection.subscribe(self._subject, self._enqueue)
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(_WORKERS):
                    tasks.create_task(self._answer_all())
        finally:
            await subscription.unsubscribe()

    def _enqueue(self, message: Message) -> None:
        if not message.reply:
            return
        try:
            self._requests.put_nowait((self._clock.monotonic(), message))
        except asyncio.QueueFull:
            self._warn("request for registry credentials dropped", f"{_QUEUE_LIMIT} wait already")

    async def _answer_all(self) -> None:
        while True:
            arrived, message = await self._requests.get()
            if self._clock.monotonic() - arrived > self._timeout:
                continue
            try:
                async with asyncio.timeout(self._timeout):
                    await self._answer(message)
            except TimeoutError:
                self._warn("registry credentials not sent in time", f"not within {self._timeout:g} s")
            except LatticeError as error:
                self._warn("registry credentials not sent", type(error).__name__)
            except Exception as error:  # noqa: BLE001 - one request must not end the service; the text may hold a secret
                self._warn("registry credentials not sent: unexpected error", type(error).__name__)

    def _warn(self, event: str, error: str) -> None:
        """Log, each kind once a minute: whoever may publish decides how often it happens."""
        left_out = self._log_limiter.admit(f"{event} {error}")
        if left_out is not None:
            _log.warning(event, subject=self._subject, error=error, left_out=left_out)

    async def _answer(self, message: Message) -> None:
        credentials = await self._credentials_for(requested_labels(message.data))
        if credentials is not None:
            body = {"registryCredentials": credentials_json(credentials)}
            await self._connection.publish(message.reply, json.dumps(body).encode())


def requested_labels(data: bytes) -> Labels:
    """The labels of the asking host, from `{"labels": {…}}`; empty for anything else."""
    try:
        labels = json.loads(data)["labels"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return MappingProxyType({})
    if not isinstance(labels, dict):
        return MappingProxyType({})
    return MappingProxyType({key: value for key, value in labels.items() if isinstance(value, str)})
