"""What the API server refuses of an object by the structural schema of its CRD: unknown fields and wrong types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from wasmcloud_operator.base.jsontypes import Json, JsonObject

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


# From the outermost: names of fields, and indexes in lists.
Steps: TypeAlias = tuple[str | int, ...]


def unknown_fields(value: Json, schema: Mapping[str, Json], steps: Steps = ()) -> Iterator[Steps]:
    """Yields the steps to what the schema does not know in `value`: strict clients refuse it, and nobody reads it."""
    if isinstance(value, dict):
        known: JsonObject = schema.get("properties") or {}
        others = schema.get("additionalProperties")
        if schema.get("x-kubernetes-preserve-unknown-fields"):
            return
        for name, item in value.items():
            if name in known or isinstance(others, dict):
                yield from unknown_fields(item, known.get(name, others) or {}, (*steps, name))
            elif not others and (known or schema.get("type") == "object"):
                yield (*steps, name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from unknown_fields(item, schema.get("items") or {}, (*steps, index))


def wrong_types(value: Json, schema: Mapping[str, Json], steps: Steps = ()) -> Iterator[tuple[Steps, str]]:
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
        known: JsonObject = schema.get("properties") or {}
        others = schema.get("additionalProperties")
        for name in schema.get("required") or ():
            if value.get(name) is None:
                yield (*steps, name), "is required"
        for name, item in value.items():
            inner = known.get(name, others)
            if item is not None and isinstance(inner, dict):
                yield from wrong_types(item, inner, (*steps, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from wrong_types(item, schema.get("items") or {}, (*steps, index))


def _fits(value: Json, wanted: str) -> bool:
    if wanted == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[wanted])
