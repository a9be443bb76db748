"""The reconciler of what is known of applications: wadm is asked, and whoever depends on the answer is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.lattice.errors import LatticeBusy, LatticeError
from wasmcloud_operator.lattice.lattices import Lattice
from wasmcloud_operator.service.reader import ManifestReader
from wasmcloud_operator.service.view import View

log = structlog.get_logger()

_BUSY_SECONDS = 0.5
_RETRY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class AppKey:
    """An application in a lattice."""

    lattice: Lattice
    application: str

    def __str__(self) -> str:
        return f"{self.lattice.name}/{self.application}"


# Told of an application that is known otherwise than before, and whether that completed the lattice's book.
Tell = Callable[[AppKey, bool], None]


@dataclass(frozen=True, slots=True)
class ManifestReconciler:
    """Reads an application's deployed manifest. While wadm or a configuration cannot be read, what is known stays."""

    view: View
    reader: ManifestReader
    tell: Tell

    async def reconcile(self, key: AppKey) -> Result:
        """Bring what is known of an application to what wadm says."""
        if not self.view.pools.of(key.lattice):
            return DONE
        book = self.view.book(key.lattice)
        try:
            record = await self.reader.read(key.lattice, key.application)
        except LatticeBusy:
            return Result(_BUSY_SECONDS)
        except LatticeError as error:
            log.debug("application not read", lattice=key.lattice.name, application=key.application, error=str(error))
            return Result(_RETRY_SECONDS)
        before = book.records.get(key.application)
        uncertain = record is not None and not record.certain
        if uncertain and before is not None and before.certain and record is not None:
            record = before if before.version == record.version else record
        knew, was_complete = book.knows(key.application), book.complete
        book.put(key.application, before if record == before else record)
        completed = book.complete and not was_complete
        if record != before or not knew or completed:
            self.tell(key, completed)
        return Result(_RETRY_SECONDS) if uncertain else DONE

    async def report(self, key: AppKey, error: Exception) -> None:
        """A failure shows in the log: the manifest has no status of its own."""
        log.warning("application not read", lattice=key.lattice.name, application=key.application, error=str(error))
