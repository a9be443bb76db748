"""Names for JSON documents whose shape only the reader of them knows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# Any with a reason: a JSON value has no static type; whoever takes one apart checks what it finds.
Json = Any
JsonObject = dict[str, Any]


def as_object(value: Json) -> JsonObject:
    """Returns an object as it is, and an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def as_objects(value: Json) -> Iterable[JsonObject]:
    """Returns the objects of a list; none for anything else."""
    return (entry for entry in value if isinstance(entry, dict)) if isinstance(value, list) else ()


def count_in(fields: JsonObject, name: str) -> int:
    """Returns the number of a field; 0 for anything else."""
    value = fields.get(name)
    return value if isinstance(value, int) else 0
