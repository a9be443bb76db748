"""Status conditions by the API conventions and kstatus: what is written, and when it counts as changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from wasmcloud_operator.base.jsontypes import Json, JsonObject, as_objects
from wasmcloud_operator.kube.timestamps import rfc3339

ConditionStatus = Literal["True", "False", "Unknown"]

# metav1.Condition's own bound.
_MAX_MESSAGE = 32768


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition as the reconciler sees it; generation and transition time are added when it is written."""

    type: str
    status: ConditionStatus
    reason: str
    message: str = ""


def ready(reason: str, message: str) -> list[Condition]:
    """The object is as its spec wants it (kstatus: Current)."""
    return [
        Condition("Ready", "True", reason, message),
        Condition("Reconciling", "False", reason),
        Condition("Stalled", "False", reason),
    ]


def progressing(reason: str, message: str) -> list[Condition]:
    """On the way, nothing for a user to do (kstatus: InProgress)."""
    return [
        Condition("Ready", "Unknown", reason, message),
        Condition("Reconciling", "True", reason, message),
        Condition("Stalled", "False", reason),
    ]


def stalled(reason: str, message: str) -> list[Condition]:
    """Only a user can mend it (kstatus: Failed)."""
    return [
        Condition("Ready", "False", reason, message),
        Condition("Reconciling", "False", reason),
        Condition("Stalled", "True", reason, message),
    ]


def to_status(conditions: Sequence[Condition], previous: Json, generation: int, now: datetime) -> list[JsonObject]:
    """The conditions as they stand in `status.conditions`.

    `lastTransitionTime` moves only when `status` flips (API conventions), so that the same conditions make the same
    list and nothing is written.
    """
    before = by_type({"conditions": previous})
    result: list[JsonObject] = []
    for condition in conditions:
        old = before.get(condition.type)
        since = old.get("lastTransitionTime") if old and old.get("status") == condition.status else None
        result.append(
            {
                "type": condition.type,
                "status": condition.status,
                "observedGeneration": generation,
                "lastTransitionTime": since or rfc3339(now),
                "reason": condition.reason,
                "message": shortened(condition.message),
            }
        )
    return result


def by_type(status: JsonObject) -> dict[str, JsonObject]:
    """Returns the conditions of a status by their type."""
    return {entry.get("type", ""): entry for entry in as_objects(status.get("conditions"))}


def shortened(message: str) -> str:
    """Returns as much of a message as a condition takes."""
    return message[:_MAX_MESSAGE]
