"""Schemas of Kubernetes' own types that users write inside ours (PodSpec, Container), kept as package data."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from wasmcloud_operator_types.schema import nullable

NAMES = ("PodSpec", "Container")


def embedded_schema(name: str) -> dict[str, Any]:
    """The structural schema of one of NAMES, without descriptions, defaults and required fields.

    It is what a real API server publishes, so that a template addition is checked field by field when it is applied.
    Every field may be null: that takes out what the operator would write there. Raises KeyError for another name.
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
    for inner in ("items", "additionalProperties"):
        if inner in schema:
            result[inner] = _with_nullable_fields(schema[inner])
    return result
