"""A host pool's lattice, hosts and applications as its status shows them: a pure function that never flaps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.kube.conditions import Condition, by_type, progressing
from wasmcloud_operator.kube.conditions import ready as is_ready
from wasmcloud_operator.kube.timestamps import rfc3339
from wasmcloud_operator.lattice.connection_types import ConnectionState
from wasmcloud_operator.lattice.host_types import Host
from wasmcloud_operator.lattice.wadm_types import ModelSummary
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator_types import POD_NAME_LABEL, POD_UID_LABEL

CONNECTED = "LatticeConnected"
WADM = "WadmConnected"
# The fields that stand as they are while nothing newer is known of the lattice.
FIELDS = ("hostCount", "hosts", "appCount", "apps")

# A status is read by people and stored in etcd: the counts have the rest.
MOST_SHOWN = 50
_MOST_LABELS = 16
_MOST_APPLICATIONS = 20
_LABEL_LIMIT = 256
# Other words for `pod`.
_LABELS_OF_THE_POD = frozenset({POD_NAME_LABEL, POD_UID_LABEL})
# Hosts report their uptime in whole seconds, so the moment they started comes out a little different each time.
_SAME_START = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class HostInPod:
    """A live host, and its pod's name and node ("" while that is not known)."""

    pod: str
    node: str
    host: Host


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenLattice:
    """What is known of a pool's lattice now; `hosts` are the pool's own, by the names of their pods.

    `hosts` is None while they are not known, `apps` while wadm has not listed them; `wadm` is whether it answers, None
    while it is being asked. `left_out` counts what hosts reported that was too much to keep.
    """

    lattice: str
    addresses: tuple[str, ...]
    connection: ConnectionState
    hosts: tuple[HostInPod, ...] | None
    apps: tuple[ModelSummary, ...] | None
    wadm: bool | None
    left_out: int = 0


def lattice_status(seen: SeenLattice, before: JsonObject) -> tuple[list[Condition], JsonObject]:
    """The conditions and the fields, given the status that stands."""
    fields = {name: before[name] for name in FIELDS if name in before}
    if seen.hosts is not None:
        fields |= _hosts(seen.hosts, before.get("hosts") or ())
    if seen.apps is not None:
        fields |= _apps(seen.apps)
    return [_condition(seen, before), _wadm(seen, before)], fields


def in_lattice(
    ready: list[Condition], wanted: int, seen: SeenLattice | None, before: JsonObject, generation: int
) -> list[Condition]:
    """What becomes of a rolled out workload's conditions: it is ready once its hosts are in the lattice.

    As long as the lattice cannot be asked, what was found of this generation stands: silence takes nothing away.
    """
    if not wanted:
        return ready
    if seen is not None and seen.hosts is not None:
        found = f"{min(len(seen.hosts), wanted)} of {wanted} hosts in lattice {seen.lattice}"
        return (
            is_ready(Reason.HOSTS_IN_LATTICE, found)
            if len(seen.hosts) >= wanted
            else progressing(Reason.HOSTS_MISSING, found)
        )
    old = by_type(before).get("Ready")
    if old is not None and old.get("observedGeneration") == generation:
        if old.get("status") == "True":
            return is_ready(old["reason"], old.get("message", ""))
        undecided = seen is None or seen.connection.connected or seen.connection.connecting
        # That the lattice cannot be reached in other words is no news.
        if old.get("reason") == Reason.HOSTS_NOT_KNOWN or (undecided and old.get("reason") == Reason.HOSTS_MISSING):
            return progressing(old["reason"], old.get("message", ""))
    where, why = (seen.lattice, seen.connection.message) if seen is not None else ("", "not known yet")
    return progressing(
        Reason.HOSTS_NOT_KNOWN, f"{wanted} hosts run; whether they are in lattice {where} is not known: {why}"
    )


def _wadm(seen: SeenLattice, before: JsonObject) -> Condition:
    """Whether wadm answers; as it was while it is being asked, or the connection is about to be made."""
    old, where = by_type(before).get(WADM), f"lattice {seen.lattice}"
    connecting = seen.connection.connecting
    if not seen.connection.connected and not connecting:
        return Condition(WADM, "Unknown", Reason.LATTICE_NOT_CONNECTED, where)
    if seen.wadm is None or connecting:
        return _as_before(old) if old is not None else Condition(WADM, "Unknown", Reason.ASKING, where)
    if seen.wadm:
        return Condition(WADM, "True", Reason.ANSWERS, where)
    return Condition(WADM, "False", Reason.NO_ANSWER, f"{where}: wadm does not list its applications")


def _as_before(old: JsonObject) -> Condition:
    return Condition(old["type"], old["status"], old["reason"], old.get("message", ""))


def _condition(seen: SeenLattice, before: JsonObject) -> Condition:
    state, where = seen.connection, ", ".join(seen.addresses)
    if state.connected:
        return Condition(
            CONNECTED, "True", Reason.CONNECTED, f"lattice {seen.lattice} at {where}{_left_out(seen.left_out)}"
        )
    old = by_type(before).get(CONNECTED)
    # The first attempt is under way, or another address fails in other words: that is no news.
    if old is not None and (state.connecting or (old["status"], old["reason"]) == ("False", state.reason)):
        return _as_before(old)
    if state.connecting:
        return Condition(CONNECTED, "Unknown", state.reason, f"lattice {seen.lattice} at {where}: connecting")
    return Condition(
        CONNECTED, "False", state.reason, f"lattice {seen.lattice}: {state.message}; the pods stay managed"
    )


def _left_out(count: int) -> str:
    """In powers of ten: a status that counted each would be written for each."""
    if not count:
        return ""
    at_least = 10 ** (len(str(count)) - 1)
    return f"; its hosts send more than is kept, {at_least} times or more something was left out"


def _hosts(hosts: tuple[HostInPod, ...], before: Iterable[JsonObject]) -> JsonObject:
    started = {entry.get("id"): entry.get("startedAt") for entry in before}
    shown = [_host(found, started.get(found.host.id)) for found in hosts[:MOST_SHOWN]]
    return {"hostCount": len(hosts), "hosts": shown}


def _host(found: HostInPod, started_before: str | None) -> JsonObject:
    host = found.host
    entry: JsonObject = {"id": host.id, "pod": found.pod}
    if found.node:
        entry["node"] = found.node
    if host.friendly_name:
        entry["friendlyName"] = host.friendly_name
    if host.version:
        entry["version"] = host.version
    if host.started_at is not None:
        entry["startedAt"] = _start(host.started_at, started_before)
    labels = sorted((key, value) for key, value in host.labels.items() if key not in _LABELS_OF_THE_POD)
    if labels:
        entry["labels"] = {key: _cut(value) for key, value in labels[:_MOST_LABELS]}
    entry["components"] = len(host.components)
    entry["providers"] = len(host.providers)
    if applications := _applications(host):
        entry["applications"] = applications
    return entry


def _applications(host: Host) -> list[JsonObject]:
    components = Counter(one.application for one in host.components.values() if one.application)
    providers = Counter(one.application for one in host.providers.values() if one.application)
    names = sorted(components.keys() | providers.keys())[:_MOST_APPLICATIONS]
    return [{"name": name, "components": components[name], "providers": providers[name]} for name in names]


def _cut(text: str) -> str:
    return text if len(text) <= _LABEL_LIMIT else f"{text[: _LABEL_LIMIT - 1]}…"


def _start(computed: datetime, stored: str | None) -> str:
    if stored:
        try:
            if abs(datetime.fromisoformat(stored) - computed) <= _SAME_START:
                return stored
        except (ValueError, TypeError):
            pass
    return rfc3339(computed)


def _apps(apps: tuple[ModelSummary, ...]) -> JsonObject:
    return {"appCount": len(apps), "apps": [_app(app) for app in apps[:MOST_SHOWN]]}


def _app(app: ModelSummary) -> JsonObject:
    entry: JsonObject = {"name": app.name, "phase": app.status.type.value}
    if app.deployed_version:
        entry["version"] = app.deployed_version
    return entry
