"""What the API server refuses of an object by the structural schema of its CRD: unknown fields and wrong values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
_INTEGERS = range(-(2**63), 2**63)

# From the outermost: names of fields, and indexes in lists.
Steps: TypeAlias = tuple[str | int, ...]
_Schema: TypeAlias = Mapping[str, Any]


def unknown_fields(value: object, schema: _Schema, steps: Steps = ()) -> Iterator[Steps]:
    """Yields the steps to what the schema does not know in `value`: strict clients refuse it, and nobody reads it."""
    if isinstance(value, dict):
        known = schema.get("properties") or {}
        others = schema.get("additionalProperties")
        if schema.get("x-kubernetes-preserve-unknown-fields"):
            return
        for name, item in value.items():
            if name in known or isinstance(others, dict):
                yield from unknown_fields(item, known.get(name, others) or {}, (*steps, name))
            elif not others and (known or schema.get("type") == "object"):
                yield (*steps, name)
    elif isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from unknown_fields(item, schema["items"], (*steps, index))


def wrong_types(value: object, schema: _Schema, steps: Steps = ()) -> Iterator[tuple[Steps, str]]:
    """Yields the steps to what in `value` is not of the schema's type, or not there, each with what it must be.

    Null counts as left out. Bounds and patterns are not looked at.
    """
    wanted: str = schema.get("type") or ""
    if schema.get("x-kubernetes-int-or-string"):
        if isinstance(value, bool) or not isinstance(value, int | str):
            yield steps, "must be a number or a string"
    elif wanted in _TYPES and (isinstance(value, bool) is not (wanted == "boolean") or not _fits(value, wanted)):
        quoted = ": put it in quotes" if wanted == "string" and isinstance(value, bool | int | float) else ""
        yield steps, f"must be {'an' if wanted[0] in 'aio' else 'a'} {wanted}{quoted}"
    elif isinstance(value, dict):
        for name in schema.get("required") or ():
            if value.get(name) is None:
                yield (*steps, name), "is required"
    for item, inner, step in _within(value, schema):
        if item is not None:
            yield from wrong_types(item, inner, (*steps, step))


def wrong_values(value: object, schema: _Schema, steps: Steps = ()) -> Iterator[tuple[Steps, str]]:
    """Yields the steps to values of the right type that the schema does not take, each with what they must be.

    Null is among them where the schema does not allow it: in a list, or for a name of the user's own.
    """
    if value is None and not schema.get("nullable") and ("type" in schema or "x-kubernetes-int-or-string" in schema):
        yield steps, "must not be null"
    elif isinstance(value, str) and "pattern" in schema and not re.fullmatch(schema["pattern"], value):
        yield steps, f"must match pattern '{schema['pattern']}'"
    elif type(value) is int and value not in _INTEGERS:
        yield steps, "must be a number of at most 64 bits"
    for item, inner, step in _within(value, schema):
        yield from wrong_values(item, inner, (*steps, step))


def _within(value: object, schema: _Schema) -> Iterator[tuple[object, _Schema, str | int]]:
    """Yields what is directly in an object or list, if the schema says anything of it, with its schema and step."""
    if isinstance(value, dict):
        known, others = schema.get("properties") or {}, schema.get("additionalProperties")
        for name, item in value.items():
            inner = known.get(name, others)
            if isinstance(inner, dict):
                yield item, inner, name
    elif isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield item, schema["items"], index


def _fits(value: object, wanted: str) -> bool:
    if wanted == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[wanted])
