"""The CRDs as YAML files: what is installed, generated from the models and checked for drift.

python -m wasmcloud_operator.commands.crds [--check] [FOLDER]
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from wasmcloud_operator.commands import generated
from wasmcloud_operator_types import custom_resource_definitions
from wasmcloud_operator_types.documents import Dumper

DEFAULT_FOLDER = Path("manifests/crds")
_HEADER = "# Generated from the models of wasmcloud_operator_types (make manifests): do not edit.\n"


def crd_yaml(crd: Mapping[str, object]) -> str:
    """One CRD as a YAML document, the same text for the same CRD."""
    return _HEADER + yaml.dump(
        dict(crd), Dumper=Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=120
    )


def crd_list(crds: Sequence[Mapping[str, object]]) -> str:
    """Returns the CRDs as one JSON object of kind List."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": crds}, indent=2)


def crd_files() -> dict[str, str]:
    """File name to text of every CRD."""
    return {_file_name(crd): crd_yaml(crd) for crd in custom_resource_definitions()}


def drift(folder: Path) -> list[str]:
    """Returns a sentence for each file that is missing, differs from the models, or is not generated."""
    wanted = crd_files()
    extra = [path for path in sorted(folder.glob("*.yaml")) if path.name not in wanted]
    unknown = [f"{path} belongs to no model: remove it" for path in extra]
    return [*generated.drift(wanted, "the models", folder), *unknown]


def _file_name(crd: Mapping[str, object]) -> str:
    """``<group>_<plural>.yaml``, as kubebuilder's generators name them."""
    spec = crd["spec"]
    if not isinstance(spec, Mapping):
        raise TypeError("a CRD has an object as spec")
    return f"{spec['group']}_{spec['names']['plural']}.yaml"


def main(arguments: list[str] | None = None) -> int:
    """Writes the files, or with --check prints what differs. Returns the exit code."""
    return generated.main("crds", crd_files(), DEFAULT_FOLDER, drift, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
