"""Keeps the views of the lattices fresh: one list for all applications at each connect, and a slow resync."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog

from wasmcloud_operator.application.places import Places
from wasmcloud_operator.kube.backoff import RateLimiter
from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.lattice.errors import LatticeError
from wasmcloud_operator.lattice.lattices import Lattice

log = structlog.get_logger()

RESYNC_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Listing:
    """The reconcile function whose keys are lattices.

    `tell` is called with the names of which the list says something new; None stands for all.
    """

    places: Places
    tell: Callable[[Lattice, Iterable[str] | None], None]
    retries: RateLimiter[Lattice] = field(default_factory=lambda: RateLimiter(base=0.5, cap=15.0))

    async def reconcile(self, lattice: Lattice) -> Result:
        """List a lattice's applications; when to do so again."""
        if not self._in_use(lattice):
            self.retries.forget(lattice)
            return DONE
        if not lattice.connection.state.connected:
            return DONE  # its news brings the lattice back
        view = self.places.view(lattice)
        try:
            summaries = await lattice.wadm.list()
        except LatticeError as error:
            if not view.list_failed:
                log.warning("wadm cannot list its applications", lattice=lattice.name, error=str(error))
                view.list_failed = True
                self.tell(lattice, None)
            return Result(self.retries.when(lattice))
        self.retries.forget(lattice)
        first = view.list_failed or not view.listed
        news = view.take_list(summaries)
        self.tell(lattice, None if first else news)
        return Result(RESYNC_SECONDS * random.uniform(0.9, 1.1))  # noqa: S311 - spreads lists, guards nothing

    def _in_use(self, lattice: Lattice) -> bool:
        return any(used is lattice for used in self.places.pools.lattices.all)
