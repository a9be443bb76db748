"""One supervised NATS connection: whatever happens to a client, a new one takes its place."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType

import structlog
from nats import errors as nats_errors

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.lattice.announced_state import AnnouncedState
from wasmcloud_operator.lattice.bounded_client import MESSAGE_LIMIT
from wasmcloud_operator.lattice.connection_types import (
    ConnectionPhase,
    ConnectionState,
    Handler,
    Message,
    ServerInfo,
    Span,
    StateListener,
    Statistics,
    Timing,
    no_span,
)
from wasmcloud_operator.lattice.diagnosis import Diagnosis, denied_subject, diagnose
from wasmcloud_operator.lattice.errors import AnswerLost, LatticeUnavailable, NotPermitted
from wasmcloud_operator.lattice.log_limiter import LogLimiter
from wasmcloud_operator.lattice.natsclient import Attached, Client, NatsClient, NewClient, Received, sent
from wasmcloud_operator.lattice.pace import LoopShare, Pace
from wasmcloud_operator.lattice.spec import ConnectionSpec, without_userinfo

_log = structlog.get_logger(__name__)

_NO_RESPONDERS = "503"
_ANSWERS_LIMIT = 2 * MESSAGE_LIMIT  # bytes that one gathering of answers keeps
_SETTLED_AFTER = 10.0  # a connection that lived this long starts its backoff anew


class Subscription:
    """Interest in a subject that outlives every client: each new one subscribes again."""

    def __init__(self, connection: Connection, subject: str, handler: Handler) -> None:
        self.subject = subject
        self._connection = connection
        self._handler = handler

    def __repr__(self) -> str:
        return f"<Subscription {self.subject}>"

    async def deliver(self, message: Received) -> None:
        """Hand a message to the handler; whatever it raises ends here, or the client would stop reading."""
        try:
            with self._connection.pace:
                self._handler(Message(message.subject, message.data, message.reply))
        except Exception as error:  # noqa: BLE001 - logged with its trace, now and then: who publishes may repeat it
            self._connection.handler_failed(self.subject, error)

    async def unsubscribe(self) -> None:
        """End it; harmless when it has ended."""
        await self._connection.forget(self)


class Connection:
    """One NATS connection, kept alive by `run` for as long as that runs.

    Every failure has the same cure, a new client: a lost server, expired credentials ("User Authentication Expired"
    closes nats-py's client for good), a peer that stopped answering. nats-py's own reconnecting stays off: it delivers
    buffered requests after their timeouts and stops for good on some errors.
    """

    def __init__(
        self,
        spec: ConnectionSpec,
        *,
        clock: Clock,
        share_of_all: LoopShare,
        timing: Timing | None = None,
        span: Span = no_span,
        new_client: NewClient = NatsClient,
    ) -> None:
        self.spec = spec
        self._new_client = new_client
        self._clock = clock
        self._timing = timing or Timing()
        self._span = span
        self._log_limiter = LogLimiter(clock.monotonic)
        self._announced = AnnouncedState(spec.addresses, clock, self._log_limiter)
        self.pace = Pace(clock, share_of_all)
        self._client: Client | None = None
        self._attempted = asyncio.Event()
        self._subscriptions: dict[Subscription, Attached | None] = {}
        self._in_flight: set[asyncio.Timeout] = set()
        self._clients = self._requests = self._lost_messages = 0
        self._last_error = ""
        self._denied = ""  # the last subject, in lower case, that the server did not let us publish on
        self._failures: dict[str, Diagnosis] = {}  # by server, since the last connection

    def __repr__(self) -> str:
        return f"<Connection {', '.join(self.spec.addresses)} {self.state.reason}>"

    @property
    def state(self) -> ConnectionState:
        """Connected or why not, and since when."""
        return self._announced.now

    @property
    def server(self) -> ServerInfo | None:
        """What the server in use announces of itself; None while not connected."""
        return self._client.server if self._client is not None else None

    @property
    def max_payload(self) -> int:
        """The largest message in bytes that the server takes; NATS's default of 1 MiB until connected once."""
        return self._client.max_payload if self._client else 1024 * 1024

    def statistics(self) -> Statistics:
        """Counters for metrics and debugging; hold no secret."""
        return Statistics(
            clients=self._clients,
            requests=self._requests,
            in_flight=len(self._in_flight),
            subscriptions=len(self._subscriptions),
            lost_messages=self._lost_messages,
            last_error=self._last_error,
        )

    def listen(self, listener: StateListener) -> Callable[[], None]:
        """Call `listener` at each change of the state. Returns the function that ends it.

        Subscriptions stand when a connected state is announced, so this is the moment to list: nothing that happened
        before is replayed. The same state is announced again when messages were dropped: list again then, too.
        """
        return self._announced.listen(listener)

    async def subscribe(self, subject: str, handler: Handler) -> Subscription:
        """Call `handler` for each message, in order, now and on every later client. It must not block."""
        subscription = Subscription(self, subject, handler)
        self._subscriptions[subscription] = None
        if (client := self._client) is not None:
            with contextlib.suppress(
                nats_errors.Error
            ):  # a client that breaks now is replaced, and that one subscribes
                await self._attach(client, subscription)
        return subscription

    async def forget(self, subscription: Subscription) -> None:
        """Drop a subscription; `Subscription.unsubscribe` calls this."""
        attached = self._subscriptions.pop(subscription, None)
        if attached is not None:
            with contextlib.suppress(nats_errors.Error):
                await attached.unsubscribe()

    async def publish(self, subject: str, payload: bytes, *, headers: Mapping[str, str] | None = None) -> None:
        """Send without an answer. Raises `LatticeUnavailable` or `PayloadTooLarge`."""
        client = self._connected_client()
        await sent(client, client.publish(subject, payload, headers=dict(headers) if headers else None), payload)

    async def request(
        self, subject: str, payload: bytes = b"", *, timeout: float, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """The answer's bytes, within `timeout` seconds.

        Raises `LatticeUnavailable` (at once while not connected, unless the first attempt is still under way),
        `NoResponders`, `NotPermitted`, `PayloadTooLarge`, or `AnswerLost`: then it may have been done.
        """
        try:
            with self._traced(subject):
                async with self._deadline(timeout):
                    return await self._asked(subject, payload, timeout, headers)
        except TimeoutError:
            raise self._unanswered(subject, timeout) from None

    def _traced(self, subject: str) -> AbstractContextManager[object]:
        return self._span("NATS request", {"messaging.system": "nats", "messaging.destination.name": subject})

    async def _asked(self, subject: str, payload: bytes, timeout: float, headers: Mapping[str, str] | None) -> bytes:
        if not self._attempted.is_set():
            await self._attempted.wait()
        client = self._connected_client()
        asked = client.request(subject, payload, timeout=timeout + 1, headers=dict(headers) if headers else None)
        return (await sent(client, asked, payload)).data

    async def request_many(
        self, subject: str, payload: bytes = b"", *, timeout: float, quiet_for: float = 0.5, limit: int = 10_000
    ) -> tuple[bytes, ...]:
        """The answers of everyone who listens; empty when nobody does.

        Ends after `timeout` seconds, or `quiet_for` seconds after the last answer, or at `limit` answers;
        answers beyond 16 MiB in all are left out.
        Raises `LatticeUnavailable`, `PayloadTooLarge`, or `AnswerLost` when the connection breaks meanwhile.
        """
        client = self._connected_client()
        answers: list[bytes] = []
        arrived = asyncio.Event()
        nobody = False
        room = _ANSWERS_LIMIT

        async def collect(message: Received) -> None:
            nonlocal nobody, room
            if message.headers and message.headers.get("Status") == _NO_RESPONDERS:
                nobody = True
            elif len(answers) < limit and len(message.data) <= room:
                room -= len(message.data)
                answers.append(message.data)
            arrived.set()

        inbox = client.new_inbox()
        subscription = await sent(client, client.hear(inbox, collect), b"")
        try:
            await sent(client, client.publish(subject, payload, reply=inbox), payload)
            with contextlib.suppress(TimeoutError):
                async with self._deadline(timeout):
                    while not nobody and len(answers) < limit and client is self._client:
                        arrived.clear()
                        async with asyncio.timeout(quiet_for if answers else None):
                            await arrived.wait()
        finally:
            with contextlib.suppress(nats_errors.Error):
                await subscription.unsubscribe()
        if client is not self._client:
            raise AnswerLost(f"the connection broke while answers on {subject} came in")
        return tuple(answers)

    async def run(self) -> None:
        """Keep a client connected until cancelled."""
        attempt = 0
        try:
            while True:
                server = self.spec.servers[attempt % len(self.spec.servers)]
                started = self._clock.monotonic()
                try:
                    await self._serve(server)
                except Exception as error:  # noqa: BLE001 - whatever a client dies of, the next one is due
                    self._failures[server] = diagnose(error, without_userinfo(server))
                    self._lost(self._why())
                attempt = 0 if self._clock.monotonic() - started > _SETTLED_AFTER else attempt + 1
                await self._clock.sleep(self._backoff(attempt))
        finally:
            self._lost(Diagnosis("Closed", "the connection is not in use any more"), ConnectionPhase.CLOSED)

    async def _serve(self, server: str) -> None:
        """Connect to one server and stay until the client ends, which always raises."""
        ended: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        client = self._new_client(self.spec, server, self.pace)
        try:
            await self._connect(client, ended)
            self._clients += 1
            self._client = client
            for subscription in tuple(self._subscriptions):
                await self._attach(client, subscription)
            await self._flushed(client, ended)
            self._failures.clear()
            self._announced.connected(without_userinfo(server))
            self._attempted.set()
            while True:
                await self._ping_or_end(client, ended)
        except nats_errors.ConnectionClosedError:
            raise (client.last_error or nats_errors.ConnectionClosedError()) from None
        finally:
            self._client = None
            self._lost_messages += client.skipped
            for scope in tuple(self._in_flight):
                if not scope.expired():
                    scope.reschedule(asyncio.get_running_loop().time())
            await client.hang_up()

    async def _connect(self, client: Client, ended: asyncio.Future[Exception]) -> None:
        """Connect and have `ended` filled with what the client ends of."""

        def on_error(error: Exception) -> None:
            if client is self._client:
                self._asynchronous_error(error)

        def on_closed() -> None:
            if not ended.done():
                ended.set_result(client.last_error or nats_errors.ConnectionClosedError())

        await client.dial(self._timing.connect_timeout, on_error, on_closed)

    async def _flushed(self, client: Client, ended: asyncio.Future[Exception]) -> None:
        """Return when the server has taken all that was sent before.

        Twice, as nats-py's PING overtakes commands that wait for its flusher; before the second one that has run.
        """
        for _ in range(2):
            await client.check(ended, self._timing.ping_timeout)

    async def _ping_or_end(self, client: Client, ended: asyncio.Future[Exception]) -> None:
        """One round of watching; raises what the client ended of, or TimeoutError from a peer that stopped answering.

        nats-py's pings need two or three silent intervals, and its `flush` reports success when its reader is dead.
        """
        await asyncio.wait({ended}, timeout=self._timing.ping_interval)
        await client.check(ended, self._timing.ping_timeout)

    async def _attach(self, client: Client, subscription: Subscription) -> None:
        attached = await client.hear(subscription.subject, subscription.deliver)
        if subscription in self._subscriptions:
            self._subscriptions[subscription] = attached
        else:
            await attached.unsubscribe()

    def _deadline(self, timeout: float) -> _Deadline:
        return _Deadline(self._in_flight, timeout)

    def _connected_client(self) -> Client:
        if self._client is None or not self.state.connected:
            raise LatticeUnavailable(self.state.message)
        self._requests += 1
        return self._client

    def _unanswered(self, subject: str, timeout: float) -> Exception:
        if self.state.connecting:
            return LatticeUnavailable(f"not connected to {', '.join(self.spec.addresses)} within {timeout:g} s")
        if self._denied == subject.lower():
            return NotPermitted(f"the NATS user is not permitted to publish on {subject}")
        if self._client is None:
            return AnswerLost(f"the connection broke before {subject} was answered")
        return AnswerLost(f"no answer on {subject} within {timeout:g} s")

    def _asynchronous_error(self, error: Exception) -> None:
        if isinstance(error, nats_errors.UnexpectedEOF):
            return  # the client ends of it, and that is announced
        if isinstance(error, nats_errors.SlowConsumerError):
            self._lost_messages += 1
            self._announced.repeat()
        self._last_error = self._words_for(error)
        left_out = self._log_limiter.admit(self._last_error)
        if left_out is not None:
            _log.warning("NATS reported an error", nats=self.spec.addresses, error=self._last_error, left_out=left_out)

    def _words_for(self, error: Exception) -> str:
        """The diagnosis; of a subject that is not permitted only what we asked for ourselves is repeated."""
        verb, denied = denied_subject(error)
        if verb == "publish":
            self._denied = denied
        subject = next((one.subject for one in self._subscriptions if one.subject.lower() == denied), "")
        if verb == "subscription" and subject:
            return f"permissions violation: the NATS user may not subscribe to {subject}"
        return diagnose(error, "").message

    def handler_failed(self, subject: str, error: Exception) -> None:
        """Log what a handler raised; `Subscription.deliver` calls this."""
        left_out = self._log_limiter.admit(f"handler of {subject}: {type(error).__name__}")
        if left_out is not None:
            _log.error("message handler failed", subject=subject, left_out=left_out, exc_info=error)

    def _why(self) -> Diagnosis:
        """What is wrong with every server that was tried: the last one's error alone would differ at each attempt."""
        found = [self._failures[server] for server in self.spec.servers if server in self._failures]
        return Diagnosis(found[0].reason, "; ".join(why.message for why in found))

    def _lost(self, why: Diagnosis, phase: ConnectionPhase = ConnectionPhase.LOST) -> None:
        self._last_error = why.message
        self._announced.lost(why, phase)
        self._attempted.set()

    def _backoff(self, attempt: int) -> float:
        rounds = attempt // len(self.spec.servers)
        limit = min(self._timing.backoff_limit, self._timing.backoff_first * 2.0 ** min(rounds, 16))
        return limit * random.uniform(0.5, 1.0)  # noqa: S311 - spreads clients, guards nothing


class _Deadline:
    """`asyncio.timeout` that the connection can end early when its client is lost."""

    def __init__(self, in_flight: set[asyncio.Timeout], timeout: float) -> None:
        self._in_flight = in_flight
        self._scope = asyncio.timeout(timeout)

    async def __aenter__(self) -> asyncio.Timeout:
        self._in_flight.add(self._scope)
        return await self._scope.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._in_flight.discard(self._scope)
        await self._scope.__aexit__(kind, error, trace)
