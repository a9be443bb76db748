"""`kubectl wasmcloud status`: pools, lattices, applications and Services in one screen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from wasmcloud_operator.base.jsontypes import JsonObject, as_objects, count_in
from wasmcloud_operator.commands.overview.snapshot import (
    Snapshot,
    condition,
    fails,
    holds,
    lattice_of,
    looked_at,
    spec_of,
    status_of,
)
from wasmcloud_operator.commands.overview.tables import Row, Table
from wasmcloud_operator.kube.objects import CustomResource


class _Row(Protocol):
    @property
    def fine(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class PoolRow:
    """One host config. `hosts` is in the lattice/desired."""

    namespace: str
    name: str
    fine: bool
    lattice: str
    version: str
    hosts: str
    state: str
    message: str


@dataclass(frozen=True, slots=True)
class LatticeRow:
    """One lattice name, over all host configs that name it."""

    name: str
    fine: bool
    nats: str
    wadm: str
    pools: int
    hosts: int
    applications: int


@dataclass(frozen=True, slots=True)
class ApplicationRow:
    """One Application."""

    namespace: str
    name: str
    fine: bool
    lattice: str
    phase: str
    version: str
    message: str


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """One Service of an Application."""

    namespace: str
    name: str
    fine: bool
    application: str
    endpoints: int
    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What the command shows. `fine`: nothing in it needs a look."""

    pools: tuple[PoolRow, ...]
    lattices: tuple[LatticeRow, ...]
    applications: tuple[ApplicationRow, ...]
    services: tuple[ServiceRow, ...]
    unreadable: tuple[str, ...]

    @property
    def fine(self) -> bool:
        """Whether everything is as it should be and all of it could be read."""
        rows: tuple[_Row, ...] = (*self.pools, *self.lattices, *self.applications, *self.services)
        return not self.unreadable and all(row.fine for row in rows)

    def as_json(self) -> JsonObject:
        """Returns the report as JSON: the rows by kind, and `fine`."""
        return {"fine": self.fine, **asdict(self)}


def report(snapshot: Snapshot) -> StatusReport:
    """Returns the rows for what was read."""
    return StatusReport(
        tuple(_pool(pool) for pool in snapshot.pools),
        tuple(_lattice(name, snapshot) for name in sorted({lattice_of(pool) for pool in snapshot.pools})),
        tuple(_application(application) for application in snapshot.applications),
        tuple(row for application in snapshot.applications for row in _services(application)),
        tuple(f"{kind}: {why}" for kind, why in snapshot.unreadable.items()),
    )


def tables(found: StatusReport, *, wide: bool = False) -> tuple[Table, ...]:
    """Returns a table for each kind; without `wide` only what is not fine has its message, cut where space is short."""
    return (
        Table(
            ("POOL", "LATTICE", "HOSTS", "VERSION", "STATE", "MESSAGE"),
            tuple(
                Row((_named(row), row.lattice, row.hosts, row.version, row.state, _message(row, wide=wide)), row.fine)
                for row in found.pools
            ),
            state=4,
            cut=not wide,
        ),
        Table(
            ("LATTICE", "NATS", "WADM", "POOLS", "HOSTS", "APPLICATIONS"),
            tuple(
                Row(
                    (row.name, row.nats, row.wadm, str(row.pools), str(row.hosts), str(row.applications)),
                    row.fine,
                )
                for row in found.lattices
            ),
            state=0,
        ),
        Table(
            ("APPLICATION", "LATTICE", "PHASE", "VERSION", "MESSAGE"),
            tuple(
                Row((_named(row), row.lattice, row.phase, row.version, _message(row, wide=wide)), row.fine)
                for row in found.applications
            ),
            state=2,
            cut=not wide,
        ),
        Table(
            ("SERVICE", "APPLICATION", "ENDPOINTS", "URLS"),
            tuple(
                Row((_named(row), row.application, str(row.endpoints), " ".join(row.urls)), row.fine)
                for row in found.services
            ),
            state=2,
        ),
    )


def notes(found: StatusReport) -> list[str]:
    """Returns the lines below the tables: what could not be read, and the verdict."""
    shown = [f"cannot be shown: {text}" for text in found.unreadable]
    if not (found.pools or found.applications or shown):
        shown = ["no host config and no application"]
    return [*shown, summary(found)]


def _pool(pool: CustomResource) -> PoolRow:
    status, spec = status_of(pool), spec_of(pool)
    ready = condition(pool, "Ready")
    state = _state(pool)
    desired = status.get("replicas", 0) if _is_daemonset(spec) else spec.get("hostReplicas", 1)
    return PoolRow(
        pool.metadata.namespace,
        pool.metadata.name,
        is_fine(pool),
        lattice_of(pool),
        str(spec.get("version", "")),
        f"{status.get('hostCount', '?')}/{desired}",
        state,
        str(ready.get("message", "")),
    )


def _lattice(name: str, snapshot: Snapshot) -> LatticeRow:
    pools = snapshot.pools_in(name)
    nats, wadm = _reach(pools, "LatticeConnected"), _reach(pools, "WadmConnected")
    return LatticeRow(
        name,
        "down" not in (nats, wadm),
        nats,
        wadm,
        len(pools),
        sum(count_in(status_of(pool), "hostCount") for pool in pools),
        len(snapshot.applications_in(name)),
    )


def _application(application: CustomResource) -> ApplicationRow:
    status = status_of(application)
    state = _state(application)
    phase = str(status.get("phase") or "")
    return ApplicationRow(
        application.metadata.namespace,
        application.metadata.name,
        is_fine(application),
        str(status.get("lattice", "")),
        phase if state in ("Ready", phase) else f"{phase or 'New'} ({state})",
        str(status.get("deployedVersion", "")),
        str(status.get("message", "")),
    )


def _services(application: CustomResource) -> Iterable[ServiceRow]:
    for entry in as_objects(status_of(application).get("services")):
        ready = count_in(entry, "readyEndpoints")
        urls = entry.get("urls")
        yield ServiceRow(
            str(entry.get("namespace", "")),
            str(entry.get("name", "")),
            ready > 0,
            f"{application.metadata.namespace}/{application.metadata.name}",
            ready,
            tuple(map(str, urls)) if isinstance(urls, list) else (),
        )


def is_fine(item: CustomResource) -> bool:
    """Whether a host config or an Application is as it should be, or left alone on purpose."""
    return _state(item) in ("Ready", "Paused")


def _state(item: CustomResource) -> str:
    """One word by kstatus, in the order in which the states hide each other."""
    if item.metadata.deleting:
        return "Deleting"
    if holds(item, "Paused"):
        return "Paused"
    if not looked_at(item):
        return "NotLookedAt"
    if holds(item, "Stalled"):
        return str(condition(item, "Stalled").get("reason", "Stalled"))
    return "Ready" if holds(item, "Ready") else str(condition(item, "Ready").get("reason") or "Unknown")


def _reach(pools: Sequence[CustomResource], kind: str) -> str:
    """Returns up where one pool's way leads there, down where all that know fail, else a question mark."""
    if any(holds(pool, kind) for pool in pools):
        return "up"
    return "down" if any(fails(pool, kind) for pool in pools) else "?"


def _is_daemonset(spec: JsonObject) -> bool:
    scheduling = spec.get("schedulingOptions")
    return bool(spec.get("daemonset") or (isinstance(scheduling, dict) and scheduling.get("daemonset")))


def _named(row: PoolRow | ApplicationRow | ServiceRow) -> str:
    return f"{row.namespace}/{row.name}"


def _message(row: PoolRow | ApplicationRow, *, wide: bool) -> str:
    return row.message if wide or not row.fine else ""


def summary(found: StatusReport) -> str:
    """Returns the counts of what is not fine."""
    bad: Counter[str] = Counter()
    for kind, rows in (("pools", found.pools), ("applications", found.applications), ("services", found.services)):
        bad[kind] += sum(not row.fine for row in rows)
    named = [f"{count} {kind}" for kind, count in bad.items() if count]
    if named:
        return f"not fine: {', '.join(named)}; `kubectl wasmcloud why KIND/NAME` has the reason"
    return "what is fine is not known, since not everything can be read" if found.unreadable else "all is fine"
