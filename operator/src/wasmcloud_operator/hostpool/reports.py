"""What of a host pool's status an Event reports: only what a write of the status makes new in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.hostpool.pod_reasons import PodReason
from wasmcloud_operator.kube.conditions import Condition, by_type, shortened
from wasmcloud_operator.kube.events import EventType
from wasmcloud_operator.reasons import Reason


@dataclass(frozen=True, slots=True)
class Report:
    """An Event for a new message of the condition `about`.

    With `once_a_reason` the same reason in other words is nothing new, nor is the note as a part of the message.
    """

    about: str
    reason: str
    note: str
    type: EventType = "Warning"
    once_a_reason: bool = False

    def is_in(self, condition: JsonObject) -> bool:
        """Returns whether the condition of a status has it."""
        reason, message = condition.get("reason"), condition.get("message", "")
        if self.once_a_reason:
            return reason == self.reason or self.note in message
        return (reason, message) == (self.reason, shortened(self.note))


def news(before: JsonObject, after: JsonObject, reports: Iterable[Report]) -> Iterator[Report]:
    """Yields the reports that the status `after` has and `before` had not: the status outlives a restart."""
    old, new = by_type(before), by_type(after)
    for report in reports:
        if report.is_in(new.get(report.about, {})) and not report.is_in(old.get(report.about, {})):
            yield report


def reports_of(held_up: PodReason | None, warnings: Iterable[Condition]) -> Iterator[Report]:
    """Yields what holds a pod up, and the warnings."""
    if held_up is not None:
        yield Report("Ready", held_up.reason, held_up.message, once_a_reason=True)
    for condition in warnings:
        yield Report(condition.type, condition.reason, condition.message)


def of_lattice(before: JsonObject, about: Iterable[Condition]) -> Iterator[Report]:
    """Yields that the lattice, or its wadm, is lost or found again."""
    old = by_type(before)
    for condition in about:
        name, was = condition.type.removesuffix("Connected"), old.get(condition.type, {}).get("status")
        if (was, condition.status) == ("True", "False"):
            yield Report(condition.type, Reason(f"{name}Lost"), condition.message)
        elif (was, condition.status) == ("False", "True"):
            yield Report(condition.type, Reason(f"{name}Found"), condition.message, "Normal")
