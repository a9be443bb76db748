"""The JSON Schemas of both kinds as files for editors: generated from the models and checked for drift.

python -m wasmcloud_operator.commands.schema [--check] [FOLDER]
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from wasmcloud_operator.commands import generated
from wasmcloud_operator_types import Application, WasmCloudHostConfig, json_schema

MODELS = {model.KIND: model for model in (WasmCloudHostConfig, Application)}
DEFAULT_FOLDER = Path("manifests/schemas")


def schema_text(kind: str) -> str:
    """The JSON Schema of a kind, the same text for the same models. Raises KeyError for another kind."""
    return json.dumps(json_schema(MODELS[kind]), indent=1, ensure_ascii=False) + "\n"


def schema_files() -> dict[str, str]:
    """File name to text of every schema."""
    return {f"{kind.lower()}.schema.json": schema_text(kind) for kind in MODELS}


if __name__ == "__main__":
    found = schema_files()
    raise SystemExit(generated.main("schema", found, DEFAULT_FOLDER, partial(generated.drift, found, "the models")))
