"""The pure step from what is known of a lattice's hosts and one event to what is known then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from heapq import heapify, heappop
from types import MappingProxyType

from wasmcloud_operator.lattice.host_events import (
    ComponentScaled,
    ConfigChanged,
    HostEvent,
    HostSeen,
    HostStarted,
    HostStopped,
    Inventory,
    LabelsChanged,
    ProviderStarted,
    ProviderStopped,
)
from wasmcloud_operator.lattice.host_types import Host, Instant, InventoryChange, Provider, ProviderNews, change_between
from wasmcloud_operator.lattice.room import PART_BYTES

HEARTBEAT_LAG = 2.0  # seconds that a heartbeat's content may be older than its arrival
_NEWS_KEPT = 10.0
_STARTED_AT_TOLERANCE = timedelta(seconds=5)
_QUIET = 0.6  # of the silence after which a host is gone; after so much it is asked

# How much of what hosts say of themselves is kept: whoever may publish in a lattice can make up hosts.
HOST_LIMIT = 10_000
HOST_BYTES = 512 * 1024  # a host with some thousand components, or eight hundred providers
_ENTRY = 120  # bytes that Python needs for a short text and its place in a mapping, about


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """The hosts of a lattice that are alive, by id, and when (monotonic seconds) those that stopped lately did so.

    `left_out` counts what did not fit (see `HOST_BYTES`). `pod_of` returns which of our pods a host names, "" for none:
    for hosts in our pods others have to make room. `limit` returns how many bytes may be had where so many are wanted.
    """

    alive: Mapping[str, Host] = field(default_factory=lambda: MappingProxyType({}))
    stopped: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    size: int = 0  # bytes, about: the sum over `alive`
    left_out: int = 0
    pod_of: Callable[[Host], str] = field(default=lambda _: "", compare=False, repr=False)
    limit: Callable[[int], int] = field(default=lambda _: PART_BYTES, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class InventoryStep:
    """The result of a transition: the next state, what changed, and the hosts whose inventory has to be asked for."""

    hosts: Hosts
    change: InventoryChange = field(default_factory=InventoryChange)
    ask: frozenset[str] = frozenset()


def apply(hosts: Hosts, event: HostEvent, now: Instant, *, as_of: float | None = None) -> InventoryStep:
    """The state after `event`.

    `as_of` (monotonic seconds) is when an inventory was asked for: it cannot be older than that. Without it, it came by
    itself and may be `HEARTBEAT_LAG` old. Provider events heard since then outweigh it, and the host is asked again.
    """
    match event:
        case ConfigChanged(name):
            return InventoryStep(hosts, InventoryChange(configs=frozenset({name})))
        case HostStopped(host_id):
            return _stopped(hosts, host_id, now)
        case HostStarted(seen):
            host = replace(_known(hosts, seen.host_id, now), started_at=None)
            return _put(_without_tombstone(hosts, seen.host_id), _introduced(host, seen, now), ask=True)
    host_id = event.seen.host_id if isinstance(event, Inventory) else event.host_id
    reported_at = now.monotonic - HEARTBEAT_LAG if as_of is None else as_of
    if hosts.stopped.get(host_id, float("-inf")) >= reported_at:
        return InventoryStep(hosts)  # sent before it stopped
    host = _known(hosts, host_id, now)
    hosts = _without_tombstone(hosts, host_id)
    if isinstance(event, Inventory):
        return _inventoried(hosts, host, event, now, reported_at)
    # After an update to another image a host reports 0 of the old one under the same component id: so it is asked.
    scaled_to_zero = isinstance(event, ComponentScaled) and event.component is None
    return _put(hosts, _after_event(host, event, now), ask=scaled_to_zero or not host.inventoried)


def _after_event(host: Host, event: HostEvent, now: Instant) -> Host:
    """The host after an event about one thing of it."""
    match event:
        case HostSeen():
            host = _introduced(host, event, now)
        case ProviderStarted(_, provider):
            host = _with_news(host, ProviderNews(provider.id, provider, now.monotonic))
        case ProviderStopped(_, provider_id):
            host = _with_news(host, ProviderNews(provider_id, None, now.monotonic))
        case ComponentScaled(_, component_id, component) if component is not None:
            host = replace(host, components=MappingProxyType({**host.components, component_id: component}))
        case LabelsChanged(_, labels):
            host = replace(host, labels=labels)
    return host


def expire(hosts: Hosts, now: Instant, *, silent_for: float, listening_since: float) -> InventoryStep:
    """The state without the hosts that were silent for more than `silent_for` seconds while somebody listened.

    Those that are on their way there are to be asked: a host may beat seldom, or late, and live.
    """
    silence = {host_id: now.monotonic - max(host.last_seen, listening_since) for host_id, host in hosts.alive.items()}
    known = {host_id: host for host_id, host in hosts.alive.items() if silence[host_id] <= silent_for}
    quiet = frozenset(host_id for host_id in known if silence[host_id] > _QUIET * silent_for)
    stopped = {host_id: at for host_id, at in hosts.stopped.items() if now.monotonic - at <= silent_for}
    if len(known) == len(hosts.alive) and len(stopped) == len(hosts.stopped):
        return InventoryStep(hosts, ask=quiet)
    gone = {host_id: host for host_id, host in hosts.alive.items() if host_id not in known}
    applications = frozenset[str]().union(*(host.applications for host in gone.values()))
    return InventoryStep(
        replace(
            hosts,
            alive=MappingProxyType(known),
            stopped=MappingProxyType(stopped),
            size=sum(host.size for host in known.values()),
        ),
        InventoryChange(hosts=frozenset(gone), applications=applications, silent=MappingProxyType(gone)),
        quiet,
    )


def give_up(hosts: Hosts, host_id: str) -> InventoryStep:
    """The state without a host that nobody reaches."""
    host = hosts.alive.get(host_id)
    if host is None:
        return InventoryStep(hosts)
    alive = {key: other for key, other in hosts.alive.items() if key != host_id}
    change = replace(change_between(host, None), silent=MappingProxyType({host_id: host}))
    return InventoryStep(replace(hosts, alive=MappingProxyType(alive), size=hosts.size - host.size), change)


def _known(hosts: Hosts, host_id: str, now: Instant) -> Host:
    """The host as known, or as good as nothing, and seen now."""
    host = hosts.alive.get(host_id)
    return replace(host, last_seen=now.monotonic) if host else Host(id=host_id, last_seen=now.monotonic)


def _introduced(host: Host, seen: HostSeen, now: Instant) -> Host:
    return replace(
        host,
        friendly_name=host.friendly_name if seen.friendly_name is None else seen.friendly_name,
        labels=host.labels if seen.labels is None else seen.labels,
        version=host.version if seen.version is None else seen.version,
        started_at=_started_at(host.started_at, seen.uptime, now.wall),
    )


def _started_at(stored: datetime | None, uptime: int | None, now: datetime) -> datetime | None:
    if uptime is None:
        return stored
    computed = (now - timedelta(seconds=uptime)).replace(microsecond=0)
    return stored if stored and abs(stored - computed) <= _STARTED_AT_TOLERANCE else computed


def _inventoried(hosts: Hosts, host: Host, event: Inventory, now: Instant, reported_at: float) -> InventoryStep:
    providers: dict[str, Provider] = dict(event.providers)
    doubtful = False
    for news in host.news:
        if news.at < reported_at:
            continue
        doubtful = doubtful or (news.provider_id in providers) != (news.provider is not None)
        _take(providers, news)
    host = replace(
        _introduced(host, event.seen, now),
        components=event.components,
        providers=MappingProxyType(providers),
        inventoried=True,
    )
    return _put(hosts, host, ask=doubtful)


def _with_news(host: Host, news: ProviderNews) -> Host:
    providers = dict(host.providers)
    _take(providers, news)
    kept = (older for older in host.news if news.at - older.at <= _NEWS_KEPT and older.provider_id != news.provider_id)
    return replace(host, providers=MappingProxyType(providers), news=(*kept, news))


def _take(providers: dict[str, Provider], news: ProviderNews) -> None:
    if news.provider is None:
        providers.pop(news.provider_id, None)
    else:
        providers[news.provider_id] = news.provider


def _stopped(hosts: Hosts, host_id: str, now: Instant) -> InventoryStep:
    old = hosts.alive.get(host_id)
    alive = {key: host for key, host in hosts.alive.items() if key != host_id}
    stopped = {**hosts.stopped, host_id: now.monotonic}
    if len(stopped) > HOST_LIMIT:
        del stopped[next(iter(stopped))]
    left = replace(
        hosts,
        alive=MappingProxyType(alive),
        stopped=MappingProxyType(stopped),
        size=hosts.size - (old.size if old else 0),
    )
    return InventoryStep(left, change_between(old, None))


def _without_tombstone(hosts: Hosts, host_id: str) -> Hosts:
    if host_id not in hosts.stopped:
        return hosts
    stopped = {key: at for key, at in hosts.stopped.items() if key != host_id}
    return replace(hosts, stopped=MappingProxyType(stopped))


def _put(hosts: Hosts, host: Host, *, ask: bool) -> InventoryStep:
    old = hosts.alive.get(host.id)
    host, cut = _fitted(host)
    if cut:
        hosts = replace(hosts, left_out=hosts.left_out + 1)
    others = len(hosts.alive) - (old is not None)
    growth = host.size - (old.size if old else 0)
    size = hosts.size + growth
    limit = hosts.limit(size)
    gone: dict[str, Host] = {}
    if (growth > 0 and size > limit) or others >= HOST_LIMIT:
        in_pod = hosts.pod_of(host)
        gone = _giving_way(hosts, host, size - limit) if in_pod else {}
        size -= sum(other.size for other in gone.values())
        if size > (PART_BYTES if in_pod else limit) or others - len(gone) >= HOST_LIMIT:
            return InventoryStep(replace(hosts, left_out=hosts.left_out + 1))
    alive = {**hosts.alive, host.id: host}
    for host_id in gone:
        del alive[host_id]
    change = change_between(old, host)
    if gone:
        change = replace(change, hosts=change.hosts | gone.keys())
    after = replace(hosts, alive=MappingProxyType(alive), size=size, left_out=hosts.left_out + len(gone))
    return InventoryStep(after, change, frozenset({host.id}) if ask else frozenset())


def _giving_way(hosts: Hosts, newcomer: Host, excess: int) -> dict[str, Host]:
    """The hosts that make room for one of our pods' until one place and `excess` bytes are free.

    First those in none of our pods, then those in the pod that the most hosts name; of equals the one that was silent
    for longest. Of each pod the host that is known longest stays. So whoever makes up hosts in a pod keeps no other
    pod's out, nor the one that is there already, and a new one there is back with each of its heartbeats.
    """
    pods = {host_id: hosts.pod_of(host) for host_id, host in hosts.alive.items()}
    by_pod = Counter(pods.values())
    by_pod[""] = len(pods) + 1
    longest = {pod: host_id for host_id, pod in reversed(pods.items()) if pod}
    stay = {newcomer.id, *longest.values()}
    found = [(-by_pod[pod], hosts.alive[one].last_seen, one) for one, pod in pods.items() if one not in stay]
    heapify(found)
    gone: dict[str, Host] = {}
    while found and (not gone or excess > 0):
        *_, host_id = heappop(found)
        gone[host_id] = hosts.alive[host_id]
        excess -= gone[host_id].size
    return gone


def _fitted(host: Host) -> tuple[Host, bool]:
    """Returns the host with its size in bytes, about, and whether something of it was left out as too large."""
    size = _size(host)
    if size <= HOST_BYTES:
        return replace(host, size=size), False
    labels = host.labels if _texts(host.labels) <= HOST_BYTES // 2 else MappingProxyType({})
    bare = replace(host, labels=labels, components=MappingProxyType({}), providers=MappingProxyType({}), news=())
    return replace(bare, size=_size(bare)), True


def _size(host: Host) -> int:
    news_size = sum(_bytes_of(news.provider) if news.provider else _ENTRY for news in host.news)
    return (
        4 * _ENTRY
        + len(host.id)
        + len(host.friendly_name)
        + len(host.version)
        + _texts(host.labels)
        + sum(len(name) + len(component.application) for name, component in host.components.items())
        + 2 * _ENTRY * len(host.components)
        + sum(map(_bytes_of, host.providers.values()))
        + news_size
    )


def _bytes_of(provider: Provider) -> int:
    return 2 * _ENTRY + len(provider.id) + len(provider.image_ref) + _texts(provider.annotations)


def _texts(pairs: Mapping[str, str]) -> int:
    return sum(len(key) + len(value) + 2 * _ENTRY for key, value in pairs.items())
