"""What wadm pushes: status changes and manifests that came or went, one wildcard subscription each."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from pydantic import ValidationError

from wasmcloud_operator.lattice.connection_types import Channel, ChannelSubscription, Message
from wasmcloud_operator.lattice.subjects import WadmSubjects, is_model_name
from wasmcloud_operator.lattice.wadm_types import AppStatus

_log = structlog.get_logger(__name__)

_PUBLISHED = "com.wadm.manifest_published"
_UNPUBLISHED = "com.wadm.manifest_unpublished"


@dataclass(frozen=True, slots=True)
class StatusPushed:
    """wadm computed another status for an application. It carries no version."""

    name: str
    status: AppStatus


@dataclass(frozen=True, slots=True)
class ManifestPublished:
    """A version was deployed. `size` is how many bytes the event had."""

    name: str
    manifest: dict[str, Any]
    size: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ManifestUnpublished:
    """It was undeployed or deleted, or someone deleted what did not exist: only a reason to look, no fact."""

    name: str


WadmEvent = StatusPushed | ManifestPublished | ManifestUnpublished
WadmHandler = Callable[[WadmEvent], None]


async def subscribe_wadm(
    connection: Channel, subjects: WadmSubjects, handler: WadmHandler
) -> tuple[ChannelSubscription, ...]:
    """Call `handler` for every push of the lattice's wadm; what cannot be understood is logged and dropped."""

    def on_status(message: Message) -> None:
        _hand_over(parse_status(message.subject, message.data), message, handler)

    def on_event(message: Message) -> None:
        _hand_over(parse_event(message.data), message, handler)

    statuses = await connection.subscribe(subjects.statuses, on_status)
    return (statuses, *[await connection.subscribe(subject, on_event) for subject in subjects.events])


def parse_status(subject: str, data: bytes) -> StatusPushed | None:
    """The push on `wadm.status.<lattice>.<name>`; None when the body is no status."""
    try:
        return StatusPushed(subject.rpartition(".")[2], AppStatus.model_validate_json(data))
    except ValidationError:
        return None


def parse_event(data: bytes) -> ManifestPublished | ManifestUnpublished | None:
    """The CloudEvent on `wadm.evt.<lattice>[.<event>]`; None for other events and for what is malformed."""
    try:
        event = json.loads(data)
        kind, body = event["type"], event["data"]
        if kind == _PUBLISHED and is_model_name(name := body["metadata"]["name"]):
            return ManifestPublished(name, body, len(data))
        if kind == _UNPUBLISHED and is_model_name(name := body["name"]):
            return ManifestUnpublished(name)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return None


def _hand_over(event: WadmEvent | None, message: Message, handler: WadmHandler) -> None:
    if event is None:
        _log.debug("wadm event dropped", subject=message.subject, size=len(message.data))
    else:
        handler(event)
