"""Generates `kube/field_table.py`: list and map types from a kube-apiserver's OpenAPI, omitted zeros from its Go types.

    make fields

The API server does not publish which zero values it leaves out of its answers: that is Go's omitempty on a field that
is no pointer, in the sources that it was built from. `tests/integration/test_kube_field_table.py` holds the table
against the running API server.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from testbed import Admin, ControlPlane
from testbed.components import COMPONENTS
from wasmcloud_operator.kube import field_table
from wasmcloud_operator.kube.field_shapes import Items, Map, Quantity, Shape, Struct, Type

# The kinds that are written, by the document of the API server's OpenAPI that has them.
KINDS = {
    "api/v1": ("ConfigMap", "Secret", "Service", "ServiceAccount"),
    "apis/apps/v1": ("DaemonSet", "Deployment"),
    "apis/networking.k8s.io/v1": ("Ingress",),
    "apis/policy/v1": ("PodDisruptionBudget",),
}
_GO_FILES = (
    ("k8s.io/api", ("core/v1", "apps/v1", "networking/v1", "policy/v1")),
    ("k8s.io/apimachinery", ("pkg/apis/meta/v1",)),
)
# Nobody applies these.
_LEFT_OUT = {"status", "managedFields", "ephemeralContainers"}
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_SCALARS = {"string", "integer", "boolean", "number"}

Schema = Mapping[str, object]


class Reader:
    """Reads the types that the kinds are made of from one document's schemas."""

    def __init__(self, schemas: Mapping[str, Schema]) -> None:
        self._schemas = schemas
        self.types: dict[str, Type] = {}

    def read(self, name: str, *, inside_closed: bool = False) -> str:
        """Take a type in, with all that it has; returns its short name."""
        short = name.rpartition(".")[2]
        if short not in self.types:
            self.types[short] = Type({})  # a type that has itself
            properties = self._schemas[name].get("properties") or {}
            closed = inside_closed or self._is_closed(name)
            fields = {
                field: self._shape(schema, inside_closed=closed)
                for field, schema in properties.items()
                if field not in _LEFT_OUT
            }
            self.types[short] = Type({field: shape for field, shape in fields.items() if shape is not None})
        return short

    def _shape(self, schema: Schema, *, inside_closed: bool = False) -> Shape | None:
        reference, atomic = _reference(schema), schema.get("x-kubernetes-map-type") == "atomic"
        if reference == _QUANTITY:
            return Quantity()
        if reference is not None:
            if self._schemas[reference].get("type") != "object":
                return None  # a time, a number or a name
            return Struct(self.read(reference), closed=self._is_closed(reference))
        if schema.get("type") == "array":
            return self._items(schema)
        if "additionalProperties" in schema:
            return Map(self._shape(schema["additionalProperties"]), closed=atomic or inside_closed)
        return None

    def _items(self, schema: Schema) -> Items | None:
        of, kind = self._shape(schema["items"]), schema.get("x-kubernetes-list-type", "atomic")
        keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
        if not keys and "merge" in schema.get("x-kubernetes-patch-strategy", "").split(
            ","
        ):  # before it had a list type
            keys = tuple(filter(None, (schema.get("x-kubernetes-patch-merge-key"),)))
        reference = _reference(schema["items"])
        properties = self._schemas[reference].get("properties", {}) if reference else {}
        defaults = tuple((key, properties[key]["default"]) for key in keys if properties[key].get("default"))
        items = Items(of, keys, defaults, unordered=kind == "set")
        return items if items != Items() else None

    def _is_closed(self, name: str) -> bool:
        """Whether it is atomic and has no scalar, which the API server might fill in."""
        schema = self._schemas[name]
        properties = (schema.get("properties") or {}).values()
        return schema.get("x-kubernetes-map-type") == "atomic" and not any(
            field.get("type") in _SCALARS or _reference(field) for field in properties
        )


def _reference(schema: Schema) -> str | None:
    for part in (schema, *(schema.get("allOf") or ())):
        if "$ref" in part:
            return part["$ref"].rpartition("/")[2]
    return None


async def types_of(admin: Admin) -> dict[str, Type]:
    """The types of the written kinds as that API server publishes them, without omitted zeros."""
    types: dict[str, Type] = {}
    for document, kinds in KINDS.items():
        schemas = (await admin.request("GET", f"/openapi/v3/{document}"))["components"]["schemas"]
        reader = Reader(schemas)
        for kind in kinds:
            reader.read(next(name for name in schemas if name.rpartition(".")[2] == kind))
        for name, found in reader.types.items():
            assert types.setdefault(name, found) == found, f"two types are named {name}"
    return types


def omitted_zeros() -> dict[str, frozenset[str]]:
    """By type: the scalar fields that Go leaves out when they are zero. Needs Go and its module cache."""
    structs: dict[str, str] = {}
    scalars = {"bool", "string", "int", "int32", "int64", "float64"}
    for module, folders in _GO_FILES:
        asked = ["go", "list", "-m", "-f", "{{.Dir}}", module]
        recipe = COMPONENTS["kube-apiserver"].recipe
        found = subprocess.run(asked, cwd=recipe, check=True, capture_output=True, text=True).stdout.strip()
        for folder in folders:
            source = (Path(found) / folder / "types.go").read_text()
            structs |= dict(re.findall(r"^type (\w+) struct \{\n(.*?)^\}", source, re.MULTILINE | re.DOTALL))
            named = re.findall(r"^type (\w+) (\w+)$", source, re.MULTILINE)
            grouped = re.findall(r"^\t(\w+) (string|bool|int32|int64)$", source, re.MULTILINE)
            scalars |= {name for name, base in (*named, *grouped) if base in scalars}
    return {name: frozenset(_omitted(name, structs, scalars)) for name in structs}


def _omitted(name: str, structs: Mapping[str, str], scalars: set[str]) -> Iterable[str]:
    for line in structs.get(name, "").splitlines():
        if inlined := re.match(r'\s*(\w+\.)?(\w+)\s+`json:",inline"', line):
            yield from _omitted(inlined[2], structs, scalars)
        field = re.match(r'\s*\w+\s+(\w+\.)?(\w+)\s+`json:"(\w+),omitempty"', line)
        if field and field[2] in scalars:
            yield field[3]


def _code(shape: Shape) -> str:
    """The shape as Python, without what is as by default."""
    match shape:
        case Struct(of, closed):
            return f'Struct("{of}"{", closed=True" * closed})'
        case Map(values, closed):
            named = [*([_code(values)] if values else []), *(["closed=True"] if closed else [])]
            return f"Map({', '.join(named)})"
        case Items(of, keys, defaults, unordered):
            named = [_code(of) if of else "None"]
            named += [f"{keys!r}"] if keys else []
            named += [f"{defaults!r}"] if defaults else []
            named += ["unordered=True"] if unordered else []
            return f"Items({', '.join(named)})"
    return "Quantity()"


def table_text(types: Mapping[str, Type], omitted: Mapping[str, frozenset[str]], version: str) -> str:
    """The module's text."""
    roots = {
        (document.removeprefix("apis/").removeprefix("api/"), kind)
        for document, kinds in KINDS.items()
        for kind in kinds
    }
    lines = [
        f'"""The types of the kinds that are written, as kube-apiserver {version} has them.',
        "",
        "Generated by `make fields` (tests/support/kube/field_types.py): do not edit.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "from wasmcloud_operator.kube.field_shapes import Items, Map, Quantity, Struct, Type",
        "",
        "# By apiVersion and kind.",
        "ROOTS = {",
        *(f'    ("{version}", "{kind}"): "{kind}",' for version, kind in sorted(roots)),
        "}",
        "",
        "TYPES = {",
    ]
    for name in sorted(types):
        fields, zeros = types[name].fields, omitted.get(name, frozenset())
        if fields or zeros:
            shapes = ", ".join(f'"{field}": {_code(shape)}' for field, shape in sorted(fields.items()))
            names = f", frozenset({{{', '.join(map(repr, sorted(zeros)))}}})" if zeros else ""
            lines.append(f'    "{name}": Type({{{shapes}}}{names}),')
    text = "\n".join([*lines, "}"]) + "\n"
    return subprocess.run(
        [sys.executable, "-m", "ruff", "format", "-"], input=text, check=True, capture_output=True, text=True
    ).stdout


async def _text() -> str:
    with tempfile.TemporaryDirectory(prefix="fields-") as folder:
        async with ControlPlane.start(Path(folder)) as cluster, cluster.admin() as admin:
            return table_text(await types_of(admin), omitted_zeros(), COMPONENTS["kube-apiserver"].version)


if __name__ == "__main__":
    Path(field_table.__file__).write_text(asyncio.run(_text()))
