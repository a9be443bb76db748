"""When wadm is asked to list the applications of a lattice: one list for whoever wants to know."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import structlog

from wasmcloud_operator.base.clock import Clock, sleep_unless
from wasmcloud_operator.lattice.connection_types import Channel
from wasmcloud_operator.lattice.errors import LatticeError
from wasmcloud_operator.lattice.ledger import AppsListed, AppsNotListed, Ledger, Occasion
from wasmcloud_operator.lattice.wadm import WadmReader
from wasmcloud_operator.lattice.wadm_types import ModelSummary

_log = structlog.get_logger(__name__)

_SETTLE = 1.0  # pushes come in bursts; one list after them is enough, and wadm is busy meanwhile
_NO_OFTENER_THAN = 5.0
_RESYNC = 300.0
_AT_LATEST = 5.0  # after the first push of a burst
_FIRST_RETRY = 0.5
_LAST_RETRY = 15.0
_STARTED_ANEW = 10.0  # seconds for which a wadm may be away without a word
_SILENCE = 30.0  # after so long without a message from wadm it is asked: NATS does not report that it is gone


class AppLister:
    """Has wadm list its applications, and puts the lists into the ledger.

    wadm is asked at each (re)connect at once, every five minutes, and a second after the last `request_refresh` (a
    push of wadm's), no oftener than once in five and no later than that; while it does not answer the last answer
    stands.
    """

    def __init__(
        self,
        connection: Channel,
        wadm: WadmReader,
        ledger: Ledger,
        *,
        clock: Clock,
        notify: Callable[[AppsListed | AppsNotListed], None],
    ) -> None:
        self._connection = connection
        self._wadm = wadm
        self._ledger = ledger
        self._clock = clock
        self._notify = notify
        self._next = self._next_resync = self._not_before = clock.monotonic()
        self._stirred: float | None = None  # since when there are pushes that no list has
        self._next_for_pushes = math.inf
        self._retry = 0.0  # above 0: the last attempt failed, and the next one waits so long
        self._failing_since: float | None = None
        self._heard = clock.monotonic()
        self._connections = 0  # a list that was asked for before the last change of the connection counts for nothing
        self._rescheduled = asyncio.Event()

    def __repr__(self) -> str:
        return f"<AppLister of {self._ledger!r}>"

    def request_refresh(self) -> None:
        """Something may have changed: ask soon."""
        now = self._heard = self._clock.monotonic()
        if self._stirred is None:
            self._stirred = now
            self._rescheduled.set()  # further ones only put it off
        self._next_for_pushes = max(min(now + _SETTLE, self._stirred + _AT_LATEST), self._not_before)

    def connection_changed(self) -> None:
        """The connection came or went, or messages were lost: what was heard so far is not enough."""
        self._ledger.lost()
        self._retry = 0.0
        self._connections += 1
        self._next = self._clock.monotonic()
        self._rescheduled.set()

    async def run(self) -> None:
        """Keep the list until cancelled."""
        self.connection_changed()
        while True:
            self._rescheduled.clear()
            due = min(self._next, self._next_for_pushes)
            asleep = self._heard + _SILENCE if self._ledger.current and not self._retry else math.inf
            if self._connection.state.connected and asleep <= min(due, self._clock.monotonic()):
                await self._ping()
                continue
            due = min(due, asleep)
            wait = due - self._clock.monotonic() if self._connection.state.connected else _RESYNC
            if wait > 0:
                await sleep_unless(self._rescheduled, self._clock, wait)
            else:
                await self._ask()

    async def _ask(self) -> None:
        asked, connection = self._clock.monotonic(), self._connections
        occasion: Occasion = (
            "connection" if not self._ledger.current else "resync" if asked >= self._next_resync else "pushes"
        )
        self._next, self._not_before = asked + _RESYNC, asked + _NO_OFTENER_THAN
        self._next_for_pushes, self._stirred = math.inf, None
        try:
            listed = await self._wadm.list()
            self._heard = self._clock.monotonic()
        except LatticeError as error:
            if connection == self._connections:
                self._failed(error)
        else:
            if connection == self._connections:
                self._take(listed, occasion)

    async def _ping(self) -> None:
        connection = self._connections
        try:
            await self._wadm.ping()
            self._heard = self._clock.monotonic()
        except LatticeError as error:
            if connection == self._connections:
                self._failed(error)

    def _failed(self, error: LatticeError) -> None:
        before, now = self._retry, self._clock.monotonic()
        self._retry = min(2 * before, _LAST_RETRY) if before else _FIRST_RETRY
        self._next = now + self._retry
        if not before:
            self._failing_since = now
            _log.warning("applications not listed", lattice=self._wadm.subjects.lattice, error=str(error))
        away = now - (now if self._failing_since is None else self._failing_since)
        if away >= _STARTED_ANEW if self._ledger.current else not before:
            self._ledger.not_listed()
            self._notify(AppsNotListed())

    def _take(self, listed: tuple[ModelSummary, ...], occasion: Occasion) -> None:
        self._retry = 0.0
        if occasion != "pushes":
            self._next_resync = self._clock.monotonic() + _RESYNC
        self._notify(self._ledger.take_list(listed, occasion))
