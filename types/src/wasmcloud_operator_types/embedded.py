"""Schemas of Kubernetes' own types that users write inside ours (PodSpec, Container), kept as package data."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

NAMES = ("PodSpec", "Container")


def embedded_schema(name: str) -> dict[str, Any]:
    """The structural schema of one of NAMES, without descriptions, defaults and required fields.

    It is what a real API server publishes, so that a template addition is checked field by field when it is applied.
    Raises KeyError for another name.
    """
    if name not in NAMES:
        raise KeyError(f"no schema of {name!r} is kept; there are {', '.join(NAMES)}")
    text = resources.files("wasmcloud_operator_types").joinpath("data", f"{name}.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema
