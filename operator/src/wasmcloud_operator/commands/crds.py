"""The CRDs as YAML files: what is installed, generated from the models and checked for drift.

python -m wasmcloud_operator.commands.crds [--check] [FOLDER]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from wasmcloud_operator_types import custom_resource_definitions

DEFAULT_FOLDER = Path("manifests/crds")
_HEADER = "# Generated from the models of wasmcloud_operator_types (make manifests): do not edit.\n"


class _Dumper(yaml.SafeDumper):
    """Writes equal objects out each time: aliases are legal YAML that several tools do not read."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def crd_yaml(crd: Mapping[str, object]) -> str:
    """One CRD as a YAML document, the same text for the same CRD."""
    return _HEADER + yaml.dump(
        dict(crd), Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=120
    )


def crd_list(crds: Sequence[Mapping[str, object]]) -> str:
    """Returns the CRDs as one JSON object of kind List."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": crds}, indent=2)


def crd_files() -> dict[str, str]:
    """File name to text of every CRD."""
    return {_file_name(crd): crd_yaml(crd) for crd in custom_resource_definitions()}


def write(folder: Path) -> None:
    """Writes every CRD into the folder, which is made if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in crd_files().items():
        (folder / name).write_text(text, encoding="utf-8")


def drift(folder: Path) -> list[str]:
    """One sentence for each file of the folder that is missing, differs from the models, or is not generated."""
    wanted = crd_files()
    found = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml"))}
    problems = [
        f"{folder / name} {'differs from the models' if name in found else 'is missing'}: run `make manifests`"
        for name, text in wanted.items()
        if found.get(name) != text
    ]
    extra = [f"{folder / name} belongs to no model: remove it" for name in found if name not in wanted]
    return problems + extra


def _file_name(crd: Mapping[str, object]) -> str:
    """``<group>_<plural>.yaml``, as kubebuilder's generators name them."""
    spec = crd["spec"]
    if not isinstance(spec, Mapping):
        raise TypeError("a CRD has an object as spec")
    return f"{spec['group']}_{spec['names']['plural']}.yaml"


def main(arguments: list[str] | None = None) -> int:
    """Writes the files, or with --check prints what differs; the exit code is 1 when something does."""
    parser = argparse.ArgumentParser(prog="python -m wasmcloud_operator.commands.crds", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is out of date")
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT_FOLDER)
    options = parser.parse_args(arguments)
    if not options.check:
        write(options.folder)
        return 0
    problems = drift(options.folder)
    sys.stdout.writelines(f"{problem}\n" for problem in problems)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
