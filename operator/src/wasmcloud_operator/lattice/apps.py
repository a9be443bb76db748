"""The applications of a lattice as wadm lists them, fetched in the background, so that nobody waits for wadm."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from wasmcloud_operator.lattice.clock import Clock
from wasmcloud_operator.lattice.errors import LatticeError
from wasmcloud_operator.lattice.wadm import WadmClient
from wasmcloud_operator.lattice.wadm_types import ModelSummary

_log = structlog.get_logger(__name__)

_SETTLE = 1.0  # pushes come in bursts; one list is enough for all of them
_NO_OFTENER_THAN = 5.0
_FIRST_RETRY = 5.0


@dataclass(frozen=True, slots=True)
class AppsListed:
    """wadm lists other applications, or the same in another state, than before."""


class LiveApps:
    """What wadm lists.

    It is asked after `stir` (a push of wadm's, a new connection) and every `resync` seconds, at most once in five
    seconds; while it does not answer the last answer stands.
    """

    def __init__(
        self, wadm: WadmClient, *, clock: Clock, tell: Callable[[AppsListed], None], resync: float = 300.0
    ) -> None:
        self._wadm = wadm
        self._clock = clock
        self._tell = tell
        self._resync = resync
        self._apps: tuple[ModelSummary, ...] | None = None
        self._stirred = asyncio.Event()

    def __repr__(self) -> str:
        known = "not listed" if self._apps is None else f"{len(self._apps)} applications"
        return f"<LiveApps {self._wadm.subjects.lattice} {known}>"

    @property
    def apps(self) -> tuple[ModelSummary, ...] | None:
        """The applications by name; None before wadm has answered once."""
        return self._apps

    def stir(self) -> None:
        """Something may have changed: ask soon."""
        self._stirred.set()

    async def run(self) -> None:
        """Keep the list until cancelled."""
        retry, wait = _FIRST_RETRY, 0.0
        while True:
            await self._due(wait)
            self._stirred.clear()
            try:
                self._take(await self._wadm.list())
                retry, wait = _FIRST_RETRY, self._resync
            except LatticeError as error:
                _log.debug("lattice.apps_not_listed", lattice=self._wadm.subjects.lattice, error=str(error))
                retry, wait = min(2 * retry, self._resync), retry
            await self._clock.sleep(_NO_OFTENER_THAN)

    async def _due(self, wait: float) -> None:
        """Return when stirred and settled, or after `wait` seconds."""
        stirred = asyncio.ensure_future(self._stirred.wait())
        slept = asyncio.ensure_future(self._clock.sleep(wait))
        try:
            await asyncio.wait({stirred, slept}, return_when=asyncio.FIRST_COMPLETED)
            if stirred.done():
                await self._clock.sleep(_SETTLE)
        finally:
            stirred.cancel()
            slept.cancel()

    def _take(self, listed: tuple[ModelSummary, ...]) -> None:
        apps = tuple(sorted(listed, key=lambda app: app.name))
        if apps != self._apps:
            self._apps = apps
            self._tell(AppsListed())
