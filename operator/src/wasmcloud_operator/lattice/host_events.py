"""What hosts send on the event stream and the control interface, parsed without trust: bounded, typed, or dropped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeGuard

from wasmcloud_operator.lattice.errors import ControlRejected, GarbledAnswer, one_line
from wasmcloud_operator.lattice.host_types import APPSPEC_ANNOTATION, Provider, RunningComponent

_EVENT_PREFIX = "com.wasmcloud.lattice."
_TEXT_LIMIT = 1024
_MAP_LIMIT = 256
_ITEM_LIMIT = 5_000
_INSTANCES_LIMIT = 2**31 - 1  # what a status can hold
_UPTIME_LIMIT = 50 * 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class HostSeen:
    """A sign of life of a host; what it left out is None. `uptime` is in seconds."""

    host_id: str
    friendly_name: str | None = None
    labels: Mapping[str, str] | None = None
    version: str | None = None
    uptime: int | None = None


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything a host runs, by id."""

    seen: HostSeen
    components: Mapping[str, RunningComponent]
    providers: Mapping[str, Provider]


@dataclass(frozen=True, slots=True)
class HostStarted:
    """A host came up."""

    seen: HostSeen


@dataclass(frozen=True, slots=True)
class HostStopped:
    """A host went down in order."""

    host_id: str


@dataclass(frozen=True, slots=True)
class ProviderStarted:
    """A provider runs on a host now."""

    host_id: str
    provider: Provider


@dataclass(frozen=True, slots=True)
class ProviderStopped:
    """A provider does not run on a host any more."""

    host_id: str
    provider_id: str


@dataclass(frozen=True, slots=True)
class ComponentScaled:
    """A component may run so many instances on a host; None: it, or an older image of it, is gone from there."""

    host_id: str
    component_id: str
    component: RunningComponent | None


@dataclass(frozen=True, slots=True)
class LabelsChanged:
    """A host has other labels."""

    host_id: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ConfigChanged:
    """A named configuration of the lattice was set or deleted."""

    name: str


HostEvent = (
    HostSeen
    | Inventory
    | HostStarted
    | HostStopped
    | ProviderStarted
    | ProviderStopped
    | ComponentScaled
    | LabelsChanged
    | ConfigChanged
)


def parse_event(data: bytes) -> HostEvent | None:
    """The CloudEvent that a host published; None for kinds that do not matter here and for what is malformed."""
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or not isinstance(event.get("data"), dict):
        return None
    kind = str(event.get("type", "")).removeprefix(_EVENT_PREFIX)
    body: dict[str, Any] = event["data"]
    host_id = _text(body.get("host_id")) or _text(event.get("source"))
    if kind in ("config_set", "config_deleted"):
        name = _text(body.get("config_name"))
        return ConfigChanged(name) if name else None
    return _host_event(kind, host_id, body) if host_id else None


def _host_event(kind: str, host_id: str, body: dict[str, Any]) -> HostEvent | None:
    event: HostEvent | None = None
    match kind:
        case "host_heartbeat":
            event = inventory(host_id, body)
        case "host_started":
            event = HostStarted(seen(host_id, body))
        case "host_stopped":
            event = HostStopped(host_id)
        case "provider_started" | "provider_stopped":
            event = _provider_event(kind, host_id, body)
        case "component_scaled":
            component_id, instances = _text(body.get("component_id")), body.get("max_instances")
            if component_id and isinstance(instances, int):
                event = ComponentScaled(host_id, component_id, _component(body) if instances else None)
        case "labels_changed":
            event = LabelsChanged(host_id, _map(body.get("labels")))
    return event


def _provider_event(kind: str, host_id: str, body: dict[str, Any]) -> HostEvent | None:
    provider_id = _text(body.get("provider_id")) or _text(body.get("public_key"))
    if not provider_id:
        return None
    if kind == "provider_stopped":
        return ProviderStopped(host_id, provider_id)
    return ProviderStarted(host_id, Provider(provider_id, _text(body.get("image_ref")), _map(body.get("annotations"))))


def parse_pong(data: bytes) -> HostSeen | None:
    """A host's answer to a ping; None when it is malformed."""
    try:
        body = control_answer(data)
    except (GarbledAnswer, ControlRejected):
        return None
    if not isinstance(body, dict):
        return None
    host_id = _text(body.get("id"))
    return seen(host_id, body) if host_id else None


def parse_inventory(host_id: str, data: bytes) -> Inventory:
    """What `host_id` answers to `host.get`. Raises `GarbledAnswer` (if another host speaks, too), `ControlRejected`."""
    body = control_answer(data)
    if isinstance(body, dict) and _text(body.get("host_id")) in ("", host_id):
        found = inventory(host_id, body)
        if isinstance(found, Inventory):
            return found
    raise GarbledAnswer(f"host {host_id} answered with something that is not its inventory")


def control_answer(data: bytes) -> object:
    """The `response` of an answer on the control interface, None when it has none.

    Raises `GarbledAnswer` for what is not `{success, message, response?}` and `ControlRejected` for `success: false`.
    """
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or not isinstance(answer.get("success"), bool):
        raise GarbledAnswer(f"not an answer of the control interface ({len(data)} bytes)")
    if not answer["success"]:
        raise ControlRejected(one_line(str(answer.get("message") or "the host names no reason")))
    response: object = answer.get("response")
    return response


def inventory(host_id: str, body: Mapping[str, Any]) -> Inventory | HostSeen:
    """The inventory in a heartbeat or an answer; without a readable list of providers only that the host lives."""
    providers, components = body.get("providers"), body.get("components", body.get("actors"))
    if not isinstance(providers, list):
        return seen(host_id, body)
    listed = components if isinstance(components, list) else []
    found = (_provider(entry) for entry in providers[:_ITEM_LIMIT])
    entries = (entry for entry in listed[:_ITEM_LIMIT] if isinstance(entry, dict))
    return Inventory(
        seen(host_id, body),
        MappingProxyType({name: _component(entry) for entry in entries if (name := _text(entry.get("id")))}),
        MappingProxyType({provider.id: provider for provider in found if provider}),
    )


def seen(host_id: str, body: Mapping[str, Any]) -> HostSeen:
    """The host's own account of itself."""
    uptime = body.get("uptime_seconds")
    return HostSeen(
        host_id,
        friendly_name=_text(body.get("friendly_name")) or None,
        labels=_map(body["labels"]) if isinstance(body.get("labels"), dict) else None,
        version=_text(body.get("version")) or None,
        uptime=uptime if isinstance(uptime, int) and 0 <= uptime < _UPTIME_LIMIT else None,
    )


def _provider(entry: object) -> Provider | None:
    if not isinstance(entry, dict) or not (provider_id := _text(entry.get("id"))):
        return None
    return Provider(provider_id, _text(entry.get("image_ref")), _map(entry.get("annotations")))


def _component(entry: Mapping[str, Any]) -> RunningComponent:
    annotations, instances = entry.get("annotations"), entry.get("max_instances")
    application = _text(annotations.get(APPSPEC_ANNOTATION)) if isinstance(annotations, dict) else ""
    return RunningComponent(application, instances if _is_count(instances) else 1)


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _INSTANCES_LIMIT


def _text(value: object) -> str:
    return value if isinstance(value, str) and _is_acceptable(value) else ""


def _is_acceptable(text: str) -> bool:
    """Short enough, and without half a surrogate pair, which JSON can hold and nothing downstream can encode."""
    return len(text) <= _TEXT_LIMIT and (text.isascii() or not any("\ud800" <= one <= "\udfff" for one in text))


def _map(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict):
        return MappingProxyType({})
    pairs = ((key, text) for key, text in value.items() if isinstance(text, str) and _is_acceptable(key + text))
    return MappingProxyType(dict(pair for pair, _ in zip(pairs, range(_MAP_LIMIT), strict=False)))
