"""The RBAC manifests, made from the one list of permissions: for the whole cluster, or for some namespaces.

python -m wasmcloud_operator.commands.rbac [--check] [FOLDER]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import yaml

from wasmcloud_operator.kinds import APPLICATION
from wasmcloud_operator.kube.jsontypes import JsonObject
from wasmcloud_operator.permissions import RULES, Rule

NAME = "wasmcloud-operator"
DEFAULT_FOLDER = Path("manifests")
_HEADER = "# Generated from operator/src/wasmcloud_operator/permissions.py (make manifests): do not edit.\n"
_API = "rbac.authorization.k8s.io"
# Kustomize puts its own namespace in place of this one.
_OWN_NAMESPACE = "wasmcloud-operator"


def cluster_wide() -> list[JsonObject]:
    """A ClusterRole with what is needed everywhere, and a Role with what is needed in the operator's namespace."""
    return [
        _service_account(),
        _role("ClusterRole", NAME, (rule for rule in RULES if not rule.own_namespace)),
        _binding("ClusterRoleBinding", NAME, "ClusterRole"),
        _role("Role", NAME, (rule for rule in RULES if rule.own_namespace)),
        _binding("RoleBinding", NAME, "Role"),
    ]


def in_one_namespace() -> list[JsonObject]:
    """A Role and its binding for one watched namespace; what is cluster-scoped is left out and done without."""
    name = f"{NAME}-watched"
    rules = (rule for rule in RULES if not rule.own_namespace and rule.resource.namespaced)
    return [_role("Role", name, rules), _binding("RoleBinding", name, "Role")]


def for_namespaces_that_go() -> list[JsonObject]:
    """A ClusterRole that outlives a watched namespace: to end its applications when its Role is gone already.

    Finalizers could not hold Role and binding instead: whoever lets go of one of them has lost the right to the other.
    """
    name = f"{NAME}-applications"
    rules = (rule for rule in RULES if rule.resource == APPLICATION and rule.subresource != "finalizers")
    return [_role("ClusterRole", name, rules), _binding("ClusterRoleBinding", name, "ClusterRole")]


def files() -> dict[str, str]:
    """Path below the manifests' folder to text."""
    return {
        "base/rbac.yaml": _text(cluster_wide()),
        "overlays/watched-namespace/rbac.yaml": _text(in_one_namespace()),
        "overlays/namespace-deletion/rbac.yaml": _text(for_namespaces_that_go()),
    }


def drift(folder: Path) -> list[str]:
    """One sentence for each file that is not as generated."""
    return [
        f"{folder / name} differs from permissions.py: run `make manifests`"
        for name, text in files().items()
        if not (folder / name).exists() or (folder / name).read_text(encoding="utf-8") != text
    ]


def _role(kind: str, name: str, rules: Iterable[Rule]) -> JsonObject:
    entries = [
        {
            "apiGroups": [rule.resource.group],
            "resources": [f"{rule.resource.plural}/{rule.subresource}" if rule.subresource else rule.resource.plural],
            "verbs": list(rule.verbs),
        }
        for rule in rules
    ]
    return {"apiVersion": f"{_API}/v1", "kind": kind, "metadata": {"name": name}, "rules": entries}


def _binding(kind: str, name: str, role_kind: str) -> JsonObject:
    return {
        "apiVersion": f"{_API}/v1",
        "kind": kind,
        "metadata": {"name": name},
        "roleRef": {"apiGroup": _API, "kind": role_kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": _OWN_NAMESPACE}],
    }


def _service_account() -> JsonObject:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME}}


def _text(objects: Iterable[JsonObject]) -> str:
    return _HEADER + yaml.safe_dump_all(objects, sort_keys=False, default_flow_style=None, width=120)


def main(arguments: list[str] | None = None) -> int:
    """Writes the files, or with --check says what differs; the exit code is 1 when something does."""
    parser = argparse.ArgumentParser(prog="python -m wasmcloud_operator.commands.rbac", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is out of date")
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT_FOLDER)
    options = parser.parse_args(arguments)
    if options.check:
        problems = drift(options.folder)
        sys.stdout.writelines(f"{problem}\n" for problem in problems)
        return 1 if problems else 0
    for name, text in files().items():
        path = options.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
