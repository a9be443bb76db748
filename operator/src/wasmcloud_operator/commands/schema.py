"""The JSON Schemas of both kinds as files for editors: generated from the models and checked for drift.

python -m wasmcloud_operator.commands.schema [--check] [FOLDER]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from wasmcloud_operator_types import Application, WasmCloudHostConfig, json_schema

MODELS = {model.KIND: model for model in (WasmCloudHostConfig, Application)}
DEFAULT_FOLDER = Path("manifests/schemas")


def schema_text(kind: str) -> str:
    """The JSON Schema of a kind, the same text for the same models. Raises KeyError for another kind."""
    return json.dumps(json_schema(MODELS[kind]), indent=1, ensure_ascii=False) + "\n"


def schema_files() -> dict[str, str]:
    """File name to text of every schema."""
    return {f"{kind.lower()}.schema.json": schema_text(kind) for kind in MODELS}


def main(arguments: list[str] | None = None) -> int:
    """Writes the files, or with --check prints what differs; the exit code is 1 when something does."""
    parser = argparse.ArgumentParser(prog="python -m wasmcloud_operator.commands.schema", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is out of date")
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT_FOLDER)
    options = parser.parse_args(arguments)
    stale = False
    for name, text in schema_files().items():
        path = options.folder / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if options.check:
            stale = True
            sys.stdout.write(f"{path} differs from the models: run `make manifests`\n")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return int(stale)


if __name__ == "__main__":
    raise SystemExit(main())
