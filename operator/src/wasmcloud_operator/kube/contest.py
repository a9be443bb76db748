"""Tugs of war: objects that somebody else sets back whenever we have applied them.

The first time that a field is set back it is put right at once, then later and later: two controllers that do not agree
must not keep each other, and the API server, busy. From the third time on it is contested, and known by whom.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.kube.difference import Difference
from wasmcloud_operator.kube.resources import Key, Resource


class WriteTarget(NamedTuple):
    """An object, or a `part` of an object that is written apart from the rest (`status`, `labels`)."""

    resource: Resource
    key: Key
    part: str = ""


# In place of a field's path: the object itself, which somebody deletes.
GONE = "the object"
# Objects whose last apply is remembered: forgetting one costs that it is put right at once, once more.
_REMEMBERED = 16384
# Fields of one object that each have a pace of their own: more than anybody edits by hand. The others share one.
_FIELDS = 16


@dataclass(frozen=True, slots=True)
class ApplyDelays:
    """The seconds from one apply to the next: `first` after a set-back, twice as many after each, `most` at most.

    From `shown_from` set-backs on the object is contested. After three times `most` without one all is forgotten.
    """

    first: float = 1.0
    most: float = 300.0
    shown_from: int = 3

    def seconds(self, set_backs: int) -> float:
        """Returns how long to wait after so many set-backs."""
        return min(self.first * 2.0 ** min(set_backs - 1, 30), self.most) if set_backs else 0.0


class Unnamed(Enum):
    """Who sets a field back that no other field manager owns."""

    ITSELF = auto()
    """It is still ours: an admission webhook changed it within our own apply, or the API server does not keep it."""

    UNKNOWN = auto()
    """It was taken out, or its owner has let go of it since."""


@dataclass(frozen=True, slots=True)
class Contested:
    """A field that does not stay as we apply it."""

    resource: Resource
    key: Key
    path: str
    by: str | Unnamed

    def __str__(self) -> str:
        """A sentence, the same as long as the same one sets the same field back."""
        match self.by:
            case Unnamed.ITSELF:
                who = "an admission webhook or the API server itself"
            case Unnamed.UNKNOWN:
                who = "an unknown field manager"
            case name:
                who = f"field manager {name}"
        if self.path == GONE:
            return (
                f"{self.resource.kind} {self.key} is deleted by somebody else whenever it is made;"
                " it is made again every few minutes: have the other leave it alone"
            )
        return (
            f"{self.resource.kind} {self.key}: {self.path} is set back by {who} whenever it is applied;"
            " it is applied again every few minutes: have the other leave the field alone"
        )


@dataclass(slots=True)
class _Fight:
    """How often a field was set back, and until when it is not applied again unless something else is wanted."""

    path: str
    set_backs: int = 0
    until: float = 0.0
    by: str | Unnamed = Unnamed.UNKNOWN


@dataclass(slots=True)
class _Applied:
    """What was applied last to an object, and what became of it.

    `vain`: the resourceVersion at which applying it changed nothing, so that it is not repeated there, and the field.
    """

    uid: str
    fingerprint: str
    vain: tuple[str, str] | None = None
    fights: dict[str, _Fight] = field(default_factory=dict)


class Contests:
    """Remembers what was applied, and what was set back since."""

    def __init__(self, clock: Clock, pace: ApplyDelays) -> None:
        self._clock = clock
        self._pace = pace
        self._held: OrderedDict[WriteTarget, _Applied] = OrderedDict()

    def applied(self, place: WriteTarget, uid: str, fingerprint: str) -> None:
        """Take note that an apply went through.

        What another object of that name went through is forgotten, except for how often it was deleted.
        """
        held = self._held.get(place)
        if held is None or held.uid != uid:
            deleted = {name: fight for name, fight in held.fights.items() if name == GONE} if held is not None else {}
            former = held.fingerprint if held is not None else fingerprint
            held = self._held[place] = _Applied(uid, former, fights=deleted)
        if held.fingerprint != fingerprint:
            for fight in held.fights.values():
                fight.until = self._clock.monotonic()  # the wait was for what was wanted then
        held.fingerprint, held.vain = fingerprint, None
        self._held.move_to_end(place)
        if len(self._held) > _REMEMBERED:
            self._held.popitem(last=False)

    def in_vain(self, place: WriteTarget, resource_version: str, path: str) -> None:
        """Take note that the last apply left the object as it was, at that version."""
        self._held[place].vain = (resource_version, path)

    def was_applied(self, place: WriteTarget, uid: str, fingerprint: str) -> bool:
        """Whether just that was the last that we applied to this object: then a difference is a set-back."""
        held = self._held.get(place)
        return held is not None and (held.uid, held.fingerprint) == (uid, fingerprint)

    def was_made(self, place: WriteTarget, fingerprint: str) -> bool:
        """Whether we applied just this last: where nothing of it is left, somebody deleted it."""
        held = self._held.get(place)
        return held is not None and held.fingerprint == fingerprint

    def forget(self, place: WriteTarget) -> None:
        """Take note that the object is gone because we wanted it to be."""
        self._held.pop(place, None)

    def must_wait(self, place: WriteTarget, resource_version: str, path: str) -> bool:
        """Whether what was applied, and was set back in this field, is not to be applied again now."""
        held, now = self._held[place], self._clock.monotonic()
        if held.vain is not None and held.vain[0] == resource_version:
            return True
        held.fights = {name: each for name, each in held.fights.items() if now <= each.until + 3 * self._pace.most}
        return now < self._fight(held, path).until

    def is_next_contested(self, place: WriteTarget, path: str) -> bool:
        """Whether one more set-back makes the field contested: then who does that is to be found out."""
        return self._fight(self._held[place], path).set_backs + 1 >= self._pace.shown_from

    def set_back(self, place: WriteTarget, path: str) -> None:
        """Take note of a set-back that was put right just now."""
        held, now = self._held[place], self._clock.monotonic()
        fight = self._fight(held, path)
        fight.set_backs += 1
        fight.until = now + self._pace.seconds(fight.set_backs)
        fight.path = path

    def name(self, place: WriteTarget, path: str, by: str | Unnamed) -> None:
        """Take note of who sets a field back."""
        self._fight(self._held[place], path).by = by

    def at_peace(self, place: WriteTarget) -> None:
        """Take note that the object is as it was applied."""
        if (held := self._held.get(place)) is not None:
            held.vain = None

    def of(self, places: Iterable[WriteTarget]) -> list[Contested]:
        """Returns the fields of these objects that are contested now."""
        found = []
        for place in places:
            held = self._held.get(place)
            if held is None:
                continue
            if held.vain is not None:
                found.append(Contested(place.resource, place.key, held.vain[1], Unnamed.ITSELF))
            fights = (one for one in held.fights.values() if self._is_contested(one))
            found += [Contested(place.resource, place.key, one.path, one.by) for one in fights]
        return found

    def again(self, places: Iterable[WriteTarget]) -> float | None:
        """Returns the seconds after which one of these objects is to be looked at again; None if none is."""
        now = self._clock.monotonic()
        held = (self._held[place] for place in places if place in self._held)
        fights = [fight for each in held for fight in each.fights.values()]
        moments = [fight.until for fight in fights if now < fight.until]
        moments += [self._ends(fight) for fight in fights if self._is_contested(fight)]
        return min(moments) - now if moments else None

    def _fight(self, held: _Applied, path: str) -> _Fight:
        name = path if path in held.fights or len(held.fights) < _FIELDS else ""
        return held.fights.setdefault(name, _Fight(path))

    def _is_contested(self, fight: _Fight) -> bool:
        return fight.set_backs >= self._pace.shown_from and self._clock.monotonic() < self._ends(fight)

    def _ends(self, fight: _Fight) -> float:
        """Returns when it is over unless it is set back before: as long after the last apply as was waited."""
        return fight.until + self._pace.seconds(fight.set_backs)


def manager_of(entries: Iterable[JsonObject], difference: Difference, ours: str) -> str | Unnamed:
    """Returns the field manager, other than ours, that owns the place of a difference, by `managedFields`."""
    owners = [
        (entry.get("time", ""), entry.get("manager", ""))
        for entry in entries
        if _owns(entry.get("fieldsV1") or {}, difference)
    ]
    others = [owner for owner in owners if owner[1] != ours]
    if others:
        return str(max(others)[1])
    return Unnamed.ITSELF if owners else Unnamed.UNKNOWN


def _owns(fields: JsonObject, difference: Difference) -> bool:
    here = fields
    for step in difference.steps:
        if step.owned not in here:
            return bool(here is not fields and here == {})  # a leaf: owned as a whole
        here = here[step.owned]
    return True
