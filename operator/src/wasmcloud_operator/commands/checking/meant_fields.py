"""Which field is meant by one that a kind does not have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from wasmcloud_operator.base.jsontypes import Json, JsonObject
from wasmcloud_operator_types.conformance import Steps

# `jsDomain` is not similar enough, `registryCredentialSecretName` is: a wrong guess costs more than none.
_SIMILAR = 0.7


def meant(steps: Steps, schema: Mapping[str, Json]) -> Steps | None:
    """Returns the steps to the field that is meant by one that the schema does not know; None where none comes to mind.

    That is the outermost one of its name, if there is one alone, else the one beside it with the most similar name;
    none of those around it, which are written already.
    """
    *outer, name = steps
    around = {steps[:length] for length in range(1, len(steps))}
    named_so = (field for field in _fields(schema, ()) if field[-1] == name and field[0] != "status")
    called_so = [field for field in named_so if field not in around]
    outermost = min(map(len, called_so), default=0)
    outermost_fields = [field for field in called_so if len(field) == outermost]
    if len(outermost_fields) == 1:
        return outermost_fields[0]
    similar = get_close_matches(str(name), _within(schema, outer), n=1, cutoff=_SIMILAR)
    return (*outer, similar[0]) if similar else None


def only_wraps(steps: Steps, item: JsonObject, schema: Mapping[str, Json]) -> bool:
    """Whether a field that the schema does not know is a `spec` of fields that the object around it has itself."""
    *outer, name = steps
    value: Json = item
    for step in steps:
        value = value[step]
    return name == "spec" and isinstance(value, dict) and bool(value.keys() & _within(schema, outer).keys())


def _fields(schema: Mapping[str, Json], steps: Steps) -> Iterator[Steps]:
    """Yields the steps to each field that is within no list."""
    for name, inner in (schema.get("properties") or {}).items():
        yield (*steps, name)
        yield from _fields(inner, (*steps, name))


def _within(schema: Mapping[str, Json], steps: list[str | int]) -> Mapping[str, Json]:
    """Returns the fields of the object to which the steps lead."""
    for step in steps:
        inner = schema.get("properties") or {}
        schema = schema.get("items", {}) if isinstance(step, int) else inner.get(step) or schema["additionalProperties"]
    return schema.get("properties") or {}
