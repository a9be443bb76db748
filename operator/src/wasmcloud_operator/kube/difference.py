"""What a live object lacks of a desired one: the test that keeps a reconcile without work from writing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

import msgspec

from wasmcloud_operator.kube.jsontypes import Json, JsonObject
from wasmcloud_operator.kube.strategic_merge import (
    ATOMIC_LISTS,
    ATOMIC_MAPS,
    KEY_DEFAULTS,
    LIST_KEYS,
    QUANTITIES,
    is_dropped,
)

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


def difference(desired: Json, live: Json, path: str = "") -> str | None:
    """The JSON path of the first place where `live` lacks something of `desired`; None if it has all of it.

    What others added to the live object (defaults, more labels, injected containers) is no difference, nor is
    something empty that the API server does not keep; a key that others put into an atomic map is one. Lists of
    objects are matched by the keys that the API server merges them by; other lists must be the same.
    """
    if isinstance(desired, dict):
        return _in_object(desired, live, path)
    if isinstance(desired, (list, tuple)):
        keys = None if path.rpartition(".")[2] in ATOMIC_LISTS else _list_keys(desired)
        return _in_list(desired, live, keys, path)
    return None if type(desired) is type(live) and desired == live else path or "."


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


def _in_object(desired: JsonObject, live: Json, path: str) -> str | None:
    if not isinstance(live, dict):
        return path or "."
    for name, value in desired.items():
        where = f"{path}.{name}"
        if name not in live:
            if is_dropped(name, value):
                continue
            return where
        found = _in_quantities(value, live[name], where) if name in QUANTITIES else difference(value, live[name], where)
        if found is not None:
            return found
    if path.rpartition(".")[2] in ATOMIC_MAPS and (foreign := live.keys() - desired.keys()):
        return f"{path}.{min(foreign)}"
    return None


def _in_quantities(desired: Json, live: Json, path: str) -> str | None:
    if isinstance(desired, dict) and isinstance(live, dict):
        for name, value in desired.items():
            if name not in live or not _same_quantity(value, live[name]):
                return f"{path}.{name}"
        return None
    return None if _same_quantity(desired, live) else path


def _same_quantity(one: Json, other: Json) -> bool:
    return one == other or ((value := quantity(one)) is not None and value == quantity(other))


def _in_list(desired: Sequence[Json], live: Json, keys: tuple[str, ...] | None, path: str) -> str | None:
    if not isinstance(live, list):
        return path
    if keys is None:
        if len(desired) != len(live):
            return path
        pairs = enumerate(zip(desired, live, strict=True))
        found = (difference(want, have, f"{path}[{index}]") for index, (want, have) in pairs)
        return next((where for where in found if where is not None), None)
    by_key = {_key_of(item, keys): item for item in live if isinstance(item, dict)}
    for item in desired:
        key = _key_of(item, keys)
        where = f"{path}[{','.join(str(part) for part in key)}]"
        missing = where if key not in by_key else difference(item, by_key[key], where)
        if missing is not None:
            return missing
    return None


def _list_keys(items: Sequence[Json]) -> tuple[str, ...] | None:
    """The merge keys that distinguish these items, if they are objects that have them."""
    if not items or not all(isinstance(item, dict) for item in items):
        return None
    for keys in LIST_KEYS:
        if all(keys[0] in item for item in items) and len({_key_of(item, keys) for item in items}) == len(items):
            return keys
    return None


def _key_of(item: JsonObject, keys: tuple[str, ...]) -> tuple[Json, ...]:
    return tuple(item.get(key, KEY_DEFAULTS.get(key)) for key in keys)
