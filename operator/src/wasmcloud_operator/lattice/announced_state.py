"""The state of a connection as others see it: announced to listeners at each change, and logged now and then."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.lattice.connection_types import ConnectionPhase, ConnectionState, StateListener
from wasmcloud_operator.lattice.diagnosis import Diagnosis
from wasmcloud_operator.lattice.listeners import Listeners
from wasmcloud_operator.lattice.log_limiter import LogLimiter

_log = structlog.get_logger(__name__)


class AnnouncedState:
    """Connected or why not, since when, and who wants to know."""

    def __init__(self, addresses: Sequence[str], clock: Clock, log_limiter: LogLimiter) -> None:
        self._addresses = addresses
        self._clock = clock
        self._log_limiter = log_limiter
        self._listeners = Listeners[ConnectionState](lambda _: _log.exception("listener failed", nats=addresses))
        self._logged = ""  # the last logged state's message
        self.now = ConnectionState(
            ConnectionPhase.CONNECTING, "Connecting", "the first attempt is under way", clock.now()
        )

    def listen(self, listener: StateListener) -> Callable[[], None]:
        """Call `listener` at each change of the state. Returns the function that ends it."""
        return self._listeners.add(listener)

    def connected(self, server: str) -> None:
        """The server has taken all subscriptions."""
        state = ConnectionState(ConnectionPhase.CONNECTED, "Connected", f"connected to {server}", self._clock.now())
        self._enter(state)

    def lost(self, why: Diagnosis, phase: ConnectionPhase) -> None:
        """The connection has ended, or an attempt has failed. The same cause again is no change."""
        was = self.now
        if was.connected or (was.reason, was.message) != (why.reason, why.message):
            since = self._clock.now() if was.connected or was.connecting else was.since
            self._enter(ConnectionState(phase, why.reason, why.message, since))

    def repeat(self) -> None:
        """Announce the state again: messages were dropped."""
        self._enter(self.now)

    def _enter(self, state: ConnectionState) -> None:
        if state != self.now and self._is_news(state.message, state.connected):
            log = _log.info if state.connected or state.phase is ConnectionPhase.CLOSED else _log.warning
            log("connection to NATS", nats=self._addresses, reason=state.reason, message=state.message)
            self._logged = state.message
        self.now = state
        self._listeners.notify(state)

    def _is_news(self, message: str, connected: bool) -> bool:
        """A loss is logged now and then, a recovery after each logged loss: the last line shows how it stands."""
        return message != self._logged if connected else self._log_limiter.admit(message) is not None
