"""Writes the package data of wasmcloud_operator_types.embedded from what a real API server publishes.

    kubectl get --raw /openapi/v3/api/v1 | python types/scripts/embed_schemas.py

Run it when the Kubernetes version that the project is built against changes.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from wasmcloud_operator_types.embedded import NAMES

Schema = dict[str, Any]

DATA = Path(__file__).parent.parent / "src" / "wasmcloud_operator_types" / "data"
CORE = "io.k8s.api.core.v1."
INT_OR_STRING: Schema = {"x-kubernetes-int-or-string": True}
QUANTITY: Schema = {
    "x-kubernetes-int-or-string": True,
    "pattern": r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$",
}
# Taken whole: what a template's metadata may hold is the API server's affair, and spelling it out costs kilobytes.
FREE_OBJECT: Schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
REPLACED: dict[str, Schema] = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": INT_OR_STRING,
    "io.k8s.apimachinery.pkg.api.resource.Quantity": QUANTITY,
    "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": FREE_OBJECT,
}
KEPT = {"type", "format", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"}
# Defaults and required fields are those of a whole pod: an addition to one needs none, and must be stored as written.
# Without required keys a list cannot be a map, so every list is atomic.
DROPPED = {
    "description",
    "default",
    "required",
    "nullable",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-patch-strategy",
    "x-kubernetes-patch-merge-key",
    "x-kubernetes-unions",
    "x-kubernetes-group-version-kind",
}
NESTED = {"properties", "items", "additionalProperties"}


def flatten(source: Schema, definitions: dict[str, Schema], path: str, depth: int = 0) -> Schema:
    """The schema with every reference put in its place and nothing that a structural schema cannot hold.

    Raises ValueError, naming the path, for a construct that is not understood.
    """
    if depth > 30:
        raise ValueError(f"{path}: the schema contains itself")
    references = source.get("allOf") or ([{"$ref": source["$ref"]}] if "$ref" in source else [])
    if references:
        if len(references) != 1 or set(references[0]) != {"$ref"}:
            raise ValueError(f"{path}: allOf of more than one reference")
        name = references[0]["$ref"].removeprefix("#/components/schemas/")
        return REPLACED.get(name) or flatten(definitions[name], definitions, path, depth + 1)
    unknown = source.keys() - KEPT - DROPPED - NESTED
    if unknown:
        raise ValueError(f"{path}: {', '.join(sorted(unknown))} not understood")
    result = {key: source[key] for key in source if key in KEPT}
    if "properties" in source:
        result["properties"] = {
            name: flatten(child, definitions, f"{path}.{name}", depth + 1)
            for name, child in source["properties"].items()
        }
    for key in ("items", "additionalProperties"):
        if key in source:
            result[key] = flatten(source[key], definitions, f"{path}[*]", depth + 1)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--to", type=Path, default=DATA, metavar="FOLDER", help="where to write (default: package data)"
    )
    folder: Path = parser.parse_args().to
    definitions: dict[str, Schema] = json.load(sys.stdin)["components"]["schemas"]
    for name in NAMES:
        schema = flatten(definitions[CORE + name], definitions, name)
        text = json.dumps(schema, separators=(",", ":"), sort_keys=True) + "\n"
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
        sys.stdout.write(f"{name}: {len(text):,} bytes\n")


if __name__ == "__main__":
    main()
