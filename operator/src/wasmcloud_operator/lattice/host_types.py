"""A lattice's hosts as the rest of the operator sees them, and what changed about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

APPSPEC_ANNOTATION = "wasmcloud.dev/appspec"


def _nothing() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment on both clocks: `monotonic` in seconds for intervals, `wall` in UTC for people."""

    monotonic: float
    wall: datetime


@dataclass(frozen=True, slots=True)
class Provider:
    """A capability provider that runs on a host."""

    id: str
    image_ref: str = ""
    annotations: Mapping[str, str] = field(default_factory=_nothing)

    @property
    def application(self) -> str:
        """The application that wadm started it for; "" when it was started by other means."""
        return self.annotations.get(APPSPEC_ANNOTATION, "")


@dataclass(frozen=True, slots=True)
class RunningComponent:
    """A component that runs on a host. `application` is what wadm started it for, "" for other means."""

    application: str = ""
    instances: int = 1


@dataclass(frozen=True, slots=True)
class ProviderNews:
    """A provider event and when it was heard (monotonic seconds); `provider` is None when it stopped."""

    provider_id: str
    provider: Provider | None
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host that is alive: its last inventory, and when it was heard (`last_seen`, monotonic seconds).

    `started_at` is UTC and stays as first computed while later computations are within five seconds of it. `components`
    and `providers` are keyed by id. `inventoried` is False while only events of it were heard. `news` are the provider
    events of the last seconds, which outweigh inventories that may be older. `size` is in bytes, about.
    """

    id: str
    last_seen: float
    friendly_name: str = ""
    labels: Mapping[str, str] = field(default_factory=_nothing)
    version: str = ""
    started_at: datetime | None = None
    components: Mapping[str, RunningComponent] = field(default_factory=lambda: MappingProxyType({}))
    providers: Mapping[str, Provider] = field(default_factory=lambda: MappingProxyType({}))
    inventoried: bool = False
    news: tuple[ProviderNews, ...] = ()
    size: int = 0

    @property
    def applications(self) -> frozenset[str]:
        """The applications that have a provider here."""
        return frozenset(provider.application for provider in self.providers.values()) - {""}


@dataclass(frozen=True, slots=True)
class InventoryChange:
    """What changed, so that those concerned can be looked at again. Being seen again is no change.

    `hosts` are the ids of hosts that came, went or report something else; `applications` those whose providers run
    elsewhere than before (or on a host that now has other labels); `configs` the named configurations that were set
    or deleted. `synced` is set when the list of hosts became complete or stopped being so. `silent` are those hosts
    that are given up because nothing is heard of them, as they were last known: that they stopped is not known.
    """

    hosts: frozenset[str] = frozenset()
    applications: frozenset[str] = frozenset()
    configs: frozenset[str] = frozenset()
    synced: bool = False
    silent: Mapping[str, Host] = field(default_factory=lambda: MappingProxyType({}))

    def __bool__(self) -> bool:
        return bool(self.hosts or self.applications or self.configs or self.synced)


def change_between(old: Host | None, new: Host | None) -> InventoryChange:
    """The change that replacing `old` by `new` (one of them may be None) means."""
    host = new or old
    if host is None or (old and new and _compared(old) == _compared(new)):
        return InventoryChange()
    before = dict(old.providers) if old else {}
    after = dict(new.providers) if new else {}
    if (old.labels if old else None) == (new.labels if new else None):
        moved = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    else:
        moved = before.keys() | after.keys()
    applications = {side[key].application for side in (before, after) for key in moved if key in side}
    return InventoryChange(hosts=frozenset({host.id}), applications=frozenset(applications - {""}))


def _compared(host: Host) -> tuple[object, ...]:
    return (host.friendly_name, host.labels, host.version, host.started_at, host.components, host.providers)
