"""What is asked of a single nats-py client, with its quirks and its errors kept here."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import urlsplit

from nats import errors as nats_errors
from nats.aio.client import Client, RawCredentials
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as ClientSubscription

from wasmcloud_operator.lattice.bounded_client import MESSAGE_LIMIT, BoundedClient
from wasmcloud_operator.lattice.diagnosis import diagnose
from wasmcloud_operator.lattice.errors import LatticeUnavailable, NoResponders, PayloadTooLarge
from wasmcloud_operator.lattice.pace import Pace
from wasmcloud_operator.lattice.spec import ConnectionSpec

_CLOSE_TIMEOUT = 2.0
_PENDING_MESSAGES = 16 * 1024
_T = TypeVar("_T")


def new_client(spec: ConnectionSpec, server: str, pace: Pace) -> BoundedClient:
    """A client for one of the spec's servers, not connected yet."""
    return BoundedClient(pace, tls=spec.wants_tls_of(server) and urlsplit(server).scheme != "wss")


async def connect(
    client: BoundedClient,
    spec: ConnectionSpec,
    server: str,
    timeout: float,
    on_error: Callable[[Exception], None],
    on_closed: Callable[[], None],
) -> None:
    """Connect to one of the spec's servers within `timeout` seconds; raises whatever stood in the way.

    `on_error` hears of errors that no call raises, `on_closed` that the client has ended.
    """
    failures: list[Exception] = []

    async def told_error(error: Exception) -> None:
        failures[:] = [error]
        on_error(error)

    async def told_closed() -> None:
        on_closed()

    try:
        async with asyncio.timeout(timeout):
            await _heeding_cancellation(
                client.connect(
                    servers=[server],
                    name="wasmcloud-operator",
                    error_cb=told_error,
                    closed_cb=told_closed,
                    allow_reconnect=False,
                    max_reconnect_attempts=1,  # 0 and less would try the address for ever
                    reconnect_time_wait=0,
                    connect_timeout=timeout,  # type: ignore[arg-type] # seconds; floats work
                    pending_size=0,  # a command that cannot be sent now is refused, not sent after its deadline
                    user_credentials=RawCredentials(spec.credentials) if spec.credentials else None,
                    tls=spec.tls_context() if spec.uses_tls else None,
                )
            )
    except nats_errors.NoServersError:
        raise (failures or [nats_errors.NoServersError()])[-1] from None
    except TimeoutError:
        raise (failures or [TimeoutError("no NATS server answers there")])[-1] from None


async def ping(client: Client, ended: asyncio.Future[Exception], timeout: float) -> None:
    """Have the server answer. Raises TimeoutError after `timeout` seconds, or what the client `ended` of meanwhile.

    nats-py forgets the pings of a client that ends: their answers would be waited for in vain.
    """
    answer = asyncio.create_task(client.rtt(timeout + 1))  # type: ignore[arg-type] # seconds; floats work
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


async def subscribe(
    client: BoundedClient, subject: str, handler: Callable[[Msg], Awaitable[None]]
) -> ClientSubscription:
    """Subscribe with a bounded queue: what does not fit is lost, and `on_error` hears of it."""
    return await client.subscribe(
        subject, cb=handler, pending_msgs_limit=_PENDING_MESSAGES, pending_bytes_limit=2 * MESSAGE_LIMIT
    )


async def sent(client: Client, call: Awaitable[_T], payload: bytes) -> _T:
    """What nats-py returns, its errors by our names."""
    try:
        return await _heeding_cancellation(call)
    except nats_errors.NoRespondersError:
        raise NoResponders("nobody listens there") from None
    except nats_errors.MaxPayloadError:
        raise PayloadTooLarge(len(payload), client.max_payload) from None
    except nats_errors.Error as error:
        raise LatticeUnavailable(diagnose(error, "").message) from None


async def close(client: Client) -> None:
    """Close without ever waiting long: a peer that stopped reading would hold us."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_CLOSE_TIMEOUT):
            await client.close()


async def _heeding_cancellation(call: Awaitable[_T]) -> _T:
    """What the call returns; CancelledError if this task was cancelled meanwhile, whatever the call made of it.

    nats-py waits with `asyncio.wait_for`, which before Python 3.12 drops a cancellation that comes together with the
    answer. Whoever went on after that would not end when told to, and the operator would not stop.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        return await call
    finally:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError
