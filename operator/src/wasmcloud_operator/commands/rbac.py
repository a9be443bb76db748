"""The RBAC manifests and the chart's rules, made from the one list of permissions.

python -m wasmcloud_operator.commands.rbac [--check] [FOLDER]
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import yaml

from wasmcloud_operator.commands import generated
from wasmcloud_operator.kinds import APPLICATION
from wasmcloud_operator.kube.jsontypes import JsonObject
from wasmcloud_operator.permissions import RULES, USER_ROLES, PermissionRule, UserRule

NAME = "wasmcloud-operator"
DEFAULT_FOLDER = Path("manifests")
_HEADER = "# Generated from operator/src/wasmcloud_operator/permissions.py (make manifests): do not edit.\n"
_API = "rbac.authorization.k8s.io"
# Kustomize puts its own namespace in place of this one.
_OWN_NAMESPACE = "wasmcloud-operator"


_EVERYWHERE = tuple(rule for rule in RULES if not (rule.own_namespace or rule.migration))
# What is cluster-scoped is left out of a watched namespace's Role, and done without.
_IN_A_NAMESPACE = tuple(rule for rule in _EVERYWHERE if rule.resource.namespaced)
_IN_OWN_NAMESPACE = tuple(rule for rule in RULES if rule.own_namespace)
_MIGRATION = tuple(rule for rule in RULES if rule.migration)
_NAMESPACE_DELETION = tuple(rule for rule in RULES if rule.resource == APPLICATION and rule.subresource != "finalizers")


def cluster_wide() -> list[JsonObject]:
    """Returns a ClusterRole with what is needed everywhere, and a Role for the operator's own namespace."""
    return [
        _service_account(),
        _role("ClusterRole", NAME, _EVERYWHERE),
        _binding("ClusterRoleBinding", NAME, "ClusterRole"),
        _role("Role", NAME, _IN_OWN_NAMESPACE),
        _binding("RoleBinding", NAME, "Role"),
    ]


def in_one_namespace() -> list[JsonObject]:
    """Returns a Role and its binding for one watched namespace."""
    name = f"{NAME}-watched"
    return [_role("Role", name, _IN_A_NAMESPACE), _binding("RoleBinding", name, "Role")]


def for_migration() -> list[JsonObject]:
    """Returns a ClusterRole for moving from the operator written in Rust: to take away what that gave its hosts."""
    name = f"{NAME}-migration"
    return [_role("ClusterRole", name, _MIGRATION), _binding("ClusterRoleBinding", name, "ClusterRole")]


def for_users() -> list[JsonObject]:
    """Returns ClusterRoles that the built-in roles view, edit and admin take in by aggregation."""
    return [_aggregated(role, rules) for role, rules in USER_ROLES.items()]


def chart_rules() -> JsonObject:
    """Returns the rules by purpose, as the chart's templates put them into roles of the release's names."""
    return {
        "cluster": _rules(_EVERYWHERE),
        "watchedNamespace": _rules(_IN_A_NAMESPACE),
        "ownNamespace": _rules(_IN_OWN_NAMESPACE),
        "migration": _rules(_MIGRATION),
        "namespaceDeletion": _rules(_NAMESPACE_DELETION),
        "users": {role: _rules(rules) for role, rules in USER_ROLES.items()},
    }


def for_namespaces_that_go() -> list[JsonObject]:
    """A ClusterRole that outlives a watched namespace: ends its applications after the namespace's Role is gone.

    Finalizers could not hold Role and binding instead: whoever lets go of one of them has lost the right to the other.
    """
    name = f"{NAME}-applications"
    return [_role("ClusterRole", name, _NAMESPACE_DELETION), _binding("ClusterRoleBinding", name, "ClusterRole")]


def files() -> dict[str, str]:
    """Path below the manifests' folder to text."""
    return {
        "base/rbac.yaml": _text(cluster_wide()),
        "base/user-roles.yaml": _text(for_users()),
        "overlays/watched-namespace/rbac.yaml": _text(in_one_namespace()),
        "overlays/namespace-deletion/rbac.yaml": _text(for_namespaces_that_go()),
        "overlays/migration/rbac.yaml": _text(for_migration()),
        "chart/wasmcloud-operator/files/rules.yaml": _text([chart_rules()]),
    }


def drift(folder: Path) -> list[str]:
    """Returns a sentence for each file that is not as generated."""
    return generated.drift(files(), folder, "permissions.py")


def _rules(rules: Iterable[PermissionRule | UserRule]) -> list[JsonObject]:
    return [
        {
            "apiGroups": [rule.resource.group],
            "resources": [f"{rule.resource.plural}/{rule.subresource}" if rule.subresource else rule.resource.plural],
            "verbs": list(rule.verbs),
        }
        for rule in rules
    ]


def _role(kind: str, name: str, rules: Iterable[PermissionRule]) -> JsonObject:
    return {"apiVersion": f"{_API}/v1", "kind": kind, "metadata": {"name": name}, "rules": _rules(rules)}


def _aggregated(role: str, rules: Iterable[UserRule]) -> JsonObject:
    labels = {f"{_API}/aggregate-to-{role}": "true"}
    return {
        "apiVersion": f"{_API}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": f"{NAME}-{role}", "labels": labels},
        "rules": _rules(rules),
    }


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


if __name__ == "__main__":
    raise SystemExit(generated.main("rbac", files(), DEFAULT_FOLDER, drift))
