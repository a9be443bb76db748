"""What is asked of a single nats-py client, with its quirks and its errors kept here."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from nats import errors as nats_errors
from nats.aio.client import RawCredentials

from wasmcloud_operator.lattice.bounded_client import MESSAGE_LIMIT, BoundedClient
from wasmcloud_operator.lattice.connection_types import ServerInfo
from wasmcloud_operator.lattice.diagnosis import diagnose
from wasmcloud_operator.lattice.errors import LatticeUnavailable, NoResponders, PayloadTooLarge
from wasmcloud_operator.lattice.pace import Pace
from wasmcloud_operator.lattice.spec import ConnectionSpec

_CLOSE_TIMEOUT = 2.0
_PENDING_MESSAGES = 16 * 1024
_T = TypeVar("_T")


class Received(Protocol):
    """A message as a client hands it over."""

    subject: str
    reply: str
    data: bytes
    headers: dict[str, str] | None


class Attached(Protocol):
    """A subscription of one client."""

    async def unsubscribe(self) -> None:
        """End it."""


class Client(Protocol):
    """A client of one server, which connects once. What its calls raise are nats-py's errors."""

    @property
    def server(self) -> ServerInfo | None:
        """What the server announces of itself; None before it does."""

    @property
    def max_payload(self) -> int:
        """The largest message in bytes that the server takes."""

    @property
    def skipped(self) -> int:
        """How many messages were too large to be read."""

    @property
    def last_error(self) -> Exception | None:
        """The last error that no call raised."""

    async def dial(self, timeout: float, on_error: Callable[[Exception], None], on_closed: Callable[[], None]) -> None:
        """Connect within `timeout` seconds; raises whatever stood in the way.

        `on_error` hears of errors that no call raises, `on_closed` that the client has ended.
        """

    async def check(self, ended: asyncio.Future[Exception], timeout: float) -> None:
        """Have the server answer.

        Raises TimeoutError after `timeout` seconds, or what the client `ended` of meanwhile.
        """

    async def hear(self, subject: str, handler: Callable[[Any], Awaitable[None]]) -> Attached:
        """Subscribe with a bounded queue: what does not fit is lost, and `on_error` hears of it."""

    async def publish(
        self, subject: str, payload: bytes, *, reply: str = "", headers: dict[str, Any] | None = None
    ) -> None:
        """Send without an answer."""

    async def request(
        self, subject: str, payload: bytes, *, timeout: float, headers: dict[str, Any] | None = None
    ) -> Received:
        """Returns the first answer."""

    def new_inbox(self) -> str:
        """Returns a subject for answers that nobody else has."""

    async def hang_up(self) -> None:
        """Close without ever waiting long."""


NewClient = Callable[[ConnectionSpec, str, Pace], Client]
"""Makes a client for one of the spec's servers, not connected yet; the pace keeps a server from taking the loop."""


class NatsClient(BoundedClient):
    """nats-py's client, as a `Connection` uses it."""

    def __init__(self, spec: ConnectionSpec, server: str, pace: Pace) -> None:
        super().__init__(pace, tls=spec.wants_tls_of(server) and urlsplit(server).scheme != "wss")
        self._spec = spec
        self._address = server

    async def dial(self, timeout: float, on_error: Callable[[Exception], None], on_closed: Callable[[], None]) -> None:
        """Connect within `timeout` seconds; raises whatever stood in the way."""
        failures: list[Exception] = []

        async def note_error(error: Exception) -> None:
            failures[:] = [error]
            on_error(error)

        async def note_end() -> None:
            on_closed()

        try:
            async with asyncio.timeout(timeout):
                await _heeding_cancellation(
                    self.connect(
                        servers=[self._address],
                        name="wasmcloud-operator",
                        error_cb=note_error,
                        closed_cb=note_end,
                        allow_reconnect=False,
                        max_reconnect_attempts=1,  # 0 and less would try the address for ever
                        reconnect_time_wait=0,
                        connect_timeout=timeout,  # type: ignore[arg-type] # seconds; floats work
                        pending_size=0,  # a command that cannot be sent now is refused, not sent after its deadline
                        user_credentials=RawCredentials(self._spec.credentials) if self._spec.credentials else None,
                        tls=self._spec.tls_context() if self._spec.uses_tls else None,
                    )
                )
        except nats_errors.NoServersError:
            raise (failures or [nats_errors.NoServersError()])[-1] from None
        except TimeoutError:
            raise (failures or [TimeoutError("no NATS server answers there")])[-1] from None

    async def check(self, ended: asyncio.Future[Exception], timeout: float) -> None:
        """Have the server answer.

        nats-py forgets the pings of a client that ends: their answers would be waited for in vain.
        """
        answer = asyncio.create_task(self.rtt(timeout + 1))  # type: ignore[arg-type] # seconds; floats work
        try:
            either: set[asyncio.Future[float] | asyncio.Future[Exception]] = {answer, ended}
            await asyncio.wait(either, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                raise ended.result()
            if not answer.done():
                raise TimeoutError
            answer.result()
        finally:
            answer.cancel()
            await asyncio.gather(answer, return_exceptions=True)

    async def hear(self, subject: str, handler: Callable[[Any], Awaitable[None]]) -> Attached:
        """Subscribe with a bounded queue."""
        return await self.subscribe(
            subject, cb=handler, pending_msgs_limit=_PENDING_MESSAGES, pending_bytes_limit=2 * MESSAGE_LIMIT
        )

    async def hang_up(self) -> None:
        """Close without ever waiting long: a peer that stopped reading would hold us."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self.close()


async def sent(client: Client, call: Awaitable[_T], payload: bytes) -> _T:
    """Returns what the client's call returns, its errors by our names."""
    try:
        return await _heeding_cancellation(call)
    except nats_errors.NoRespondersError:
        raise NoResponders("nobody listens there") from None
    except nats_errors.MaxPayloadError:
        raise PayloadTooLarge(len(payload), client.max_payload) from None
    except nats_errors.Error as error:
        raise LatticeUnavailable(diagnose(error, "").message) from None


async def _heeding_cancellation(call: Awaitable[_T]) -> _T:
    """Returns what the call returns; raises CancelledError if this task was cancelled meanwhile, whatever the call did.

    nats-py waits with `asyncio.wait_for`, which before Python 3.12 drops a cancellation that comes together with the
    answer. Whoever went on after that would not end when cancelled, and the operator would not stop.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        return await call
    finally:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError
