"""The reconciler of what is known of applications: reads wadm, and queues the keys that depend on the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.expose.plan import Record
from wasmcloud_operator.expose.queries import ServiceQueries
from wasmcloud_operator.expose.reader import ManifestReader, version_of
from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.lattice.errors import LatticeBusy, LatticeError
from wasmcloud_operator.lattice.host_types import Host
from wasmcloud_operator.lattice.lattice import Lattice
from wasmcloud_operator.lattice.wadm_events import ManifestPublished
from wasmcloud_operator.manifest.walking import Object

log = structlog.get_logger()

_BUSY_SECONDS = 0.5
_RETRY_SECONDS = 10.0

# A manifest that wadm has just published is used as it is: wadm answers slowly while many applications are deployed.
# Later than this it is no news any more. Whoever may publish decides how many wait for their turn, and how large they
# are: the others are read from wadm.
_NEWS_SECONDS = 5.0
_MOST_NEWS = 1024
_LARGEST_NEWS = 32 * 1024


@dataclass(frozen=True, slots=True)
class AppKey:
    """An application in a lattice."""

    lattice: Lattice
    application: str

    def __str__(self) -> str:
        return f"{self.lattice.name}/{self.application}"


def tenant_of(key: AppKey) -> str:
    """Whose turn it is to read a key's manifest: that of its lattice, not that of all lattices of one name."""
    return f"{key.lattice.name} {key.lattice.number}"


# Receives an application that is known otherwise than before, whether that completed the lattice's book, the
# applications that contend with it for a port, before or now, and the hosts that run a provider of its, before or now.
RecordListener = Callable[[AppKey, bool, frozenset[str], tuple[Host, ...]], None]


@dataclass(frozen=True, slots=True)
class _News:
    """A manifest that wadm published, and when that was heard (monotonic seconds)."""

    version: str
    manifest: Object
    at: float


@dataclass(slots=True)
class ManifestReconciler:
    """Reads an application's deployed manifest. While wadm or a configuration cannot be read, what is known stays.

    wadm is asked only where nothing else shows the manifest: what wadm publishes of an application that is not known
    yet counts, and so does the content of an Application that has nothing to change. wadm's next list shows where
    that was wrong. An event alone changes nothing of what is known: nothing is ever taken away because of one.
    """

    queries: ServiceQueries
    reader: ManifestReader
    clock: Clock
    changed: RecordListener
    _news: dict[AppKey, _News] = field(default_factory=dict)

    def published(self, key: AppKey, event: ManifestPublished) -> None:
        """Take note of a manifest that wadm published, unless it is large; the key is to be reconciled next."""
        version = version_of(event.manifest)
        if version and event.size <= _LARGEST_NEWS and len(self._news) < _MOST_NEWS:
            self._news[key] = _News(version, event.manifest, self.clock.monotonic())

    def unpublished(self, key: AppKey) -> None:
        """Forget it again."""
        self._news.pop(key, None)

    async def reconcile(self, key: AppKey) -> Result:
        """Bring what is known of an application to what wadm has."""
        news = self._news.pop(key, None)
        if not self.queries.pools.has(key.lattice):
            return DONE
        try:
            certain = self._take(key, await self._record(key, news))
        except LatticeBusy as error:
            return Result.waiting(f"wadm: {error}", _BUSY_SECONDS)
        except LatticeError as error:
            log.debug("application not read", lattice=key.lattice.name, application=key.application, error=str(error))
            return Result.waiting(f"wadm: {error}", _RETRY_SECONDS)
        return DONE if certain else Result.waiting("configurations that could not be read", _RETRY_SECONDS)

    async def _record(self, key: AppKey, news: _News | None) -> Record | None:
        lattice, application = key.lattice, key.application
        if news is None:
            version = lattice.ledger.deployed_versions.get(application) if lattice.ledger.current else None
            manifest = self.queries.deployed_by_application(lattice, application, version) if version else None
            if version is not None and manifest is not None:
                return await self.reader.record(lattice, application, version, manifest)
        elif self._counts(key, news):
            return await self.reader.record(lattice, application, news.version, news.manifest)
        return await self.reader.read(lattice, application)

    def _counts(self, key: AppKey, news: _News) -> bool:
        unknown = key.application not in self.queries.book(key.lattice).records
        return unknown and self.clock.monotonic() - news.at < _NEWS_SECONDS

    def _take(self, key: AppKey, record: Record | None) -> bool:
        """Put it into the book and report what is new. Returns whether it is certain."""
        book = self.queries.book(key.lattice)
        before = book.records.get(key.application)
        certain = record is None or record.certain
        if record is not None and not certain and before is not None and before.certain:
            record = before if before.version == record.version else record
        knew, was_complete = book.knows(key.application), book.complete
        hosts = tuple(book.where(key.application))
        contenders = book.contending(key.application, hosts)
        book.put(key.application, before if record == before else record)
        completed = book.complete and not was_complete
        if record != before or not knew or completed:
            now = tuple(book.where(key.application))
            contenders |= book.contending(key.application, now)
            self.changed(key, completed, frozenset(contenders), (*hosts, *now))
        return certain

    async def report(self, key: AppKey, error: Exception) -> None:
        """A failure shows in the log: the manifest has no status of its own."""
        log.warning("application not read", lattice=key.lattice.name, application=key.application, error=str(error))
