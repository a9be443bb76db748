"""Schemas of Kubernetes' own types that users write inside ours (PodSpec, Container), kept as package data."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, Field, JsonValue

from wasmcloud_operator_types.conformance import unknown_fields, wrong_types, wrong_values
from wasmcloud_operator_types.parsing import UNKNOWN_FIELD, FaultsWithin
from wasmcloud_operator_types.schema import nullable

NAMES = ("PodSpec", "Container")


@cache
def embedded_schema(name: str) -> dict[str, Any]:
    """The structural schema of one of NAMES, without descriptions, defaults and required fields.

    It is what a real API server publishes, so that a template addition is checked field by field when it is applied.
    Every field and entry may be null: that takes out what the operator would write there. Raises KeyError for another
    name.
    """
    if name not in NAMES:
        raise KeyError(f"no schema of {name!r} is kept; there are {', '.join(NAMES)}")
    text = resources.files("wasmcloud_operator_types").joinpath("data", f"{name}.json").read_text(encoding="utf-8")
    return _with_nullable_fields(json.loads(text))


def _with_nullable_fields(schema: dict[str, Any]) -> dict[str, Any]:
    result = dict(schema)
    if "properties" in schema:
        result["properties"] = {
            name: nullable(_with_nullable_fields(field)) for name, field in schema["properties"].items()
        }
    if "additionalProperties" in schema:
        result["additionalProperties"] = nullable(_with_nullable_fields(schema["additionalProperties"]))
    if "items" in schema:
        result["items"] = _with_nullable_fields(schema["items"])
    return result


def _checked(name: str) -> AfterValidator:
    def check(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
        schema = embedded_schema(name)
        unknown = [(steps, UNKNOWN_FIELD) for steps in unknown_fields(value, schema)]
        if faults := (*unknown, *wrong_types(value, schema), *wrong_values(value, schema)):
            raise FaultsWithin(faults)
        return value

    return AfterValidator(check)


EmbeddedPodSpec: TypeAlias = Annotated[
    dict[str, JsonValue], _checked("PodSpec"), Field(json_schema_extra={"x-kubernetes-embedded": "PodSpec"})
]
EmbeddedContainer: TypeAlias = Annotated[
    dict[str, JsonValue], _checked("Container"), Field(json_schema_extra={"x-kubernetes-embedded": "Container"})
]
