"""The applications of a lattice as wadm lists them: one list for whoever wants to know."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import structlog

from wasmcloud_operator.lattice.clock import Clock
from wasmcloud_operator.lattice.connection_types import Channel
from wasmcloud_operator.lattice.errors import LatticeError
from wasmcloud_operator.lattice.wadm import WadmClient
from wasmcloud_operator.lattice.wadm_types import ModelSummary

_log = structlog.get_logger(__name__)

_SETTLE = 1.0  # pushes come in bursts; one list after them is enough, and wadm is busy meanwhile
_NO_OFTENER_THAN = 5.0
_AT_LATEST = 5.0  # after the first push of a burst
_FIRST_RETRY = 0.5
_LAST_RETRY = 15.0

# Why wadm was asked: the connection came up or lost messages, the time had come, or something was pushed.
Occasion = Literal["connection", "resync", "pushes"]


@dataclass(frozen=True, slots=True)
class AppsListed:
    """wadm has listed its applications."""

    apps: tuple[ModelSummary, ...]
    """By name."""

    changed: bool
    """Whether they are others, or in another state, than in the list before."""

    occasion: Occasion
    """A list because of pushes may find wadm in the midst of things."""


@dataclass(frozen=True, slots=True)
class AppsNotListed:
    """wadm did not list its applications: at once of a new connection, else after some attempts; told once."""


class LiveApps:
    """What wadm lists.

    It is asked at each (re)connect at once, every `resync` seconds, and a second after the last `request_refresh` (a
    push of wadm's), no oftener than once in five and no later than that; while it does not answer the last answer
    stands.
    """

    def __init__(
        self,
        connection: Channel,
        wadm: WadmClient,
        *,
        clock: Clock,
        tell: Callable[[AppsListed | AppsNotListed], None],
        resync: float = 300.0,
    ) -> None:
        self._connection = connection
        self._wadm = wadm
        self._clock = clock
        self._tell = tell
        self._resync = resync
        self._apps: tuple[ModelSummary, ...] | None = None
        self._deployed: dict[str, str] = {}
        self._current = False
        self._next = self._next_resync = self._not_before = clock.monotonic()
        self._stirred: float | None = None  # since when there are pushes of which no list tells
        self._next_for_pushes = math.inf
        self._retry = 0.0  # above 0: the last attempt failed, and the next one waits so long
        self._connections = 0  # a list that was asked for before the last change of the connection tells nothing
        self._rescheduled = asyncio.Event()

    def __repr__(self) -> str:
        known = "not listed" if self._apps is None else f"{len(self._apps)} applications"
        return f"<LiveApps {self._wadm.subjects.lattice} {known}>"

    @property
    def apps(self) -> tuple[ModelSummary, ...] | None:
        """The applications by name; None before wadm has answered once."""
        return self._apps

    @property
    def deployed(self) -> Mapping[str, str]:
        """The deployed ones with their versions; empty before wadm has answered once."""
        return self._deployed

    @property
    def current(self) -> bool:
        """Whether wadm has listed since the connection stands, and still does: what it has pushed since was heard."""
        return self._current

    def request_refresh(self) -> None:
        """Something may have changed: ask soon."""
        now = self._clock.monotonic()
        if self._stirred is None:
            self._stirred = now
            self._rescheduled.set()  # further ones only put it off
        self._next_for_pushes = max(min(now + _SETTLE, self._stirred + _AT_LATEST), self._not_before)

    def connection_changed(self) -> None:
        """The connection came or went, or messages were lost: what was heard so far is not enough."""
        self._current = False
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
            wait = due - self._clock.monotonic() if self._connection.state.connected else self._resync
            if wait > 0:
                await self._sleep(wait)
            else:
                await self._ask()

    async def _sleep(self, seconds: float) -> None:
        """Return after so many seconds, or when there is another time to ask."""
        slept = asyncio.ensure_future(self._clock.sleep(seconds))
        rescheduled = asyncio.ensure_future(self._rescheduled.wait())
        try:
            await asyncio.wait({slept, rescheduled}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            slept.cancel()
            rescheduled.cancel()

    async def _ask(self) -> None:
        asked, connection = self._clock.monotonic(), self._connections
        occasion: Occasion = "connection" if not self._current else "resync" if asked >= self._next_resync else "pushes"
        self._next, self._not_before = asked + self._resync, asked + _NO_OFTENER_THAN
        self._next_for_pushes, self._stirred = math.inf, None
        try:
            listed = await self._wadm.list()
        except LatticeError as error:
            if connection == self._connections:
                self._failed(error)
        else:
            if connection == self._connections:
                self._take(listed, occasion)

    def _failed(self, error: LatticeError) -> None:
        before = self._retry
        self._retry = min(2 * before, _LAST_RETRY) if before else _FIRST_RETRY
        self._next = self._clock.monotonic() + self._retry
        if not before:
            _log.warning("lattice.apps_not_listed", lattice=self._wadm.subjects.lattice, error=str(error))
        # A wadm that is only started anew is back before the last retry.
        if self._retry >= _LAST_RETRY if self._current else not before:
            self._current = False
            self._tell(AppsNotListed())

    def _take(self, listed: tuple[ModelSummary, ...], occasion: Occasion) -> None:
        apps = tuple(sorted(listed, key=lambda app: app.name))
        changed = apps != self._apps
        self._retry, self._current = 0.0, True
        if occasion != "pushes":
            self._next_resync = self._clock.monotonic() + self._resync
        if changed:
            self._apps = apps
            self._deployed = {app.name: app.deployed_version for app in apps if app.deployed_version}
        self._tell(AppsListed(apps, changed, occasion))
