"""The CustomResourceDefinitions of both kinds, made from their models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wasmcloud_operator_types.application import Application
from wasmcloud_operator_types.embedded import embedded_schema
from wasmcloud_operator_types.hostconfig import WasmCloudHostConfig
from wasmcloud_operator_types.schema import Schema, structural_schema

_READY = '.status.conditions[?(@.type=="Ready")]'


@dataclass(frozen=True, slots=True)
class Column:
    """A column of ``kubectl get``; wide ones are shown with ``-o wide`` only."""

    name: str
    path: str
    """JSON path in kubectl's form, starting with a dot."""

    type: str = "string"
    description: str = ""
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Scale:
    """Where the scale subresource reads and writes, as JSON paths starting with a dot."""

    spec_replicas: str
    status_replicas: str
    selector: str


@dataclass(frozen=True, slots=True)
class Kind:
    """The parts of a CRD beside the schema."""

    model: type[WasmCloudHostConfig | Application]
    short_name: str
    columns: tuple[Column, ...]
    scale: Scale | None = None


_AGE = Column("Age", ".metadata.creationTimestamp", type="date")

HOST_CONFIG = Kind(
    model=WasmCloudHostConfig,
    short_name="whc",
    columns=(
        Column("Ready", f"{_READY}.status", description="Whether the hosts run as asked for"),
        Column("Reason", f"{_READY}.reason", description="Why they do or do not"),
        Column("Replicas", ".status.replicas", type="integer", description="Host pods that exist"),
        Column("Hosts", ".status.hostCount", type="integer", description="Hosts of the pool in the lattice"),
        Column("Version", ".spec.version", description="wasmCloud version asked for"),
        Column("Lattice", ".spec.lattice", description="Lattice that the hosts join", wide=True),
        Column("Message", f"{_READY}.message", description="What holds them up", wide=True),
        _AGE,
    ),
    scale=Scale(
        spec_replicas=".spec.hostReplicas",
        status_replicas=".status.replicas",
        selector=".status.selector",
    ),
)

APPLICATION = Kind(
    model=Application,
    short_name="app",
    columns=(
        Column("Ready", f"{_READY}.status", description="Whether the application runs as asked for"),
        Column("Phase", ".status.phase", description="Where the application stands"),
        Column("Version", ".status.deployedVersion", description="Version that wadm has deployed"),
        Column("Lattice", ".status.lattice", description="Lattice that it runs in"),
        Column("Message", ".status.message", description="What holds it up, or what wadm said", wide=True),
        _AGE,
    ),
)


def custom_resource_definitions() -> list[dict[str, Any]]:
    """The CRDs of WasmCloudHostConfig and Application, as objects ready to be applied."""
    return [custom_resource_definition(HOST_CONFIG), custom_resource_definition(APPLICATION)]


def custom_resource_definition(kind: Kind, *, embedded: Callable[[str], Schema] = embedded_schema) -> dict[str, Any]:
    """The CRD of one kind, ready to be applied; ``embedded`` has the schemas of Kubernetes' own types."""
    model = kind.model
    version: dict[str, Any] = {
        "name": model.VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _root_schema(kind, embedded)},
        "subresources": _subresources(kind),
        "additionalPrinterColumns": [_printer_column(column) for column in kind.columns],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{model.PLURAL}.{model.GROUP}"},
        "spec": {
            "group": model.GROUP,
            "names": {
                "kind": model.KIND,
                "listKind": f"{model.KIND}List",
                "plural": model.PLURAL,
                "singular": model.KIND.lower(),
                "shortNames": [kind.short_name],
                "categories": ["wasmcloud"],
            },
            "scope": "Namespaced",
            "versions": [version],
        },
    }


def _root_schema(kind: Kind, embedded: Callable[[str], Schema]) -> Schema:
    schema = structural_schema(kind.model, embedded=embedded)
    properties = schema["properties"]
    # The API server owns these three. Of metadata a schema may name the name alone; rules about it point there.
    properties["apiVersion"] = {"type": "string", "description": f"{kind.model.GROUP}/{kind.model.VERSION}."}
    properties["kind"] = {"type": "string", "description": f"{kind.model.KIND}."}
    properties["metadata"] = {"type": "object", "properties": {"name": {"type": "string"}}}
    # kstatus takes an object without a status for ready: it must say "not seen yet" from the first moment.
    properties["status"]["default"] = {"observedGeneration": -1}
    schema["required"] = ["spec"]
    return schema


def _subresources(kind: Kind) -> dict[str, Any]:
    subresources: dict[str, Any] = {"status": {}}
    if kind.scale is not None:
        subresources["scale"] = {
            "specReplicasPath": kind.scale.spec_replicas,
            "statusReplicasPath": kind.scale.status_replicas,
            "labelSelectorPath": kind.scale.selector,
        }
    return subresources


def _printer_column(column: Column) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.path}
    if column.description:
        shown["description"] = column.description
    if column.wide:
        shown["priority"] = 1
    return shown
