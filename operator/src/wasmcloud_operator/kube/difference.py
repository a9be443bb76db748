"""What a live object lacks of a desired one: the test that keeps a reconcile without work from writing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import msgspec

from wasmcloud_operator.base.jsontypes import Json, JsonObject
from wasmcloud_operator.kube.field_shapes import Items, Map, Quantity, Shape, Struct
from wasmcloud_operator.kube.fields import field, is_omitted, key_of, root

_PLAIN = (str, int, bool)
_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}


def fingerprint(rendered: JsonObject) -> str:
    """A short hash of a rendered object: shows that a field is no longer sent, which the live object cannot."""
    return hashlib.sha256(msgspec.json.encode(rendered, order="deterministic")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class PathStep:
    """A step into an object: as a JSON path has it, and as `fieldsV1` of managedFields has it."""

    shown: str
    owned: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where a live object lacks something of a desired one, or has what it must not have."""

    steps: tuple[PathStep, ...] = ()

    def __str__(self) -> str:
        """The JSON path."""
        return "".join(step.shown for step in self.steps) or "."

    def below(self, step: PathStep) -> Difference:
        """The same, seen from one step further out."""
        return Difference((step, *self.steps))


def difference(desired: Json, live: Json) -> str | None:
    """Returns the JSON path of the first difference; None if there is none."""
    found = first_difference(desired, live)
    return None if found is None else str(found)


def first_difference(desired: Json, live: Json) -> Difference | None:
    """Returns the first place where `live` lacks something of `desired`; None if it has all of it.

    What others added to the live object (defaults, more labels, injected containers) is no difference, nor is a zero
    value that the API server does not keep; a key that others put into an atomic map is one. Lists are compared as the
    API server merges them: by their keys, as sets, or as a whole.
    """
    return _compare(desired, live, root(desired))


def quantity(text: Json) -> Decimal | None:
    """The value of a Kubernetes quantity (`500m`, `1Gi`, `2`, 0.5); None if it is none."""
    written = str(text)
    digits = written.rstrip("numkKMGTPEi")
    factor = _SUFFIXES.get(written[len(digits) :])
    if factor is None:
        return None
    try:
        return Decimal(digits) * factor
    except InvalidOperation:
        return None


def _compare(desired: Json, live: Json, shape: Shape | None) -> Difference | None:
    if isinstance(desired, dict):
        return _in_object(desired, live, shape)
    if isinstance(desired, (list, tuple)):
        return _in_list(desired, live, shape if isinstance(shape, Items) else Items())
    if isinstance(shape, Quantity):
        return None if _same_quantity(desired, live) else Difference()
    return None if type(desired) is type(live) and desired == live else Difference()


def _in_object(desired: JsonObject, live: Json, shape: Shape | None) -> Difference | None:
    if not isinstance(live, dict):
        return Difference()
    for name, value in desired.items():
        if name not in live:
            if is_omitted(shape, name, value):
                continue
            return Difference((_named(name),))
        have = live[name]
        if type(value) in _PLAIN and type(value) is type(have) and value == have:
            continue  # most fields: no need to look up what they are
        found = _compare(value, have, field(shape, name, value))
        if found is not None:
            return found.below(_named(name))
    if isinstance(shape, (Struct, Map)) and shape.closed and (foreign := live.keys() - desired.keys()):
        return Difference((_named(min(foreign)),))
    return None


def _named(name: str) -> PathStep:
    return PathStep(f".{name}", f"f:{name}")


def _same_quantity(one: Json, other: Json) -> bool:
    return one == other or ((value := quantity(one)) is not None and value == quantity(other))


def _in_list(desired: Sequence[Json], live: Json, items: Items) -> Difference | None:
    if not isinstance(live, list):
        return Difference()
    if items.unordered:
        missing = next((item for item in desired if item not in live), None)
        return None if missing is None else Difference((PathStep(f"[{missing}]", f"v:{_compact(missing)}"),))
    if items.keys and all(isinstance(item, dict) for item in desired):
        return _by_keys(desired, live, items)
    if len(desired) != len(live):
        return Difference()
    for index, (want, have) in enumerate(zip(desired, live, strict=True)):
        if (found := _compare(want, have, items.of or root(want))) is not None:
            return found.below(PathStep(f"[{index}]", f"i:{index}"))
    return None


def _by_keys(desired: Sequence[JsonObject], live: list[Json], items: Items) -> Difference | None:
    by_key = {key_of(items, item): item for item in live if isinstance(item, dict)}
    for item in desired:
        key = key_of(items, item)
        found = Difference() if key not in by_key else _compare(item, by_key[key], items.of)
        if found is not None:
            owned = f"k:{_compact(dict(sorted(zip(items.keys, key, strict=True))))}"
            return found.below(PathStep(f"[{','.join(str(part) for part in key)}]", owned))
    return None


def _compact(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
