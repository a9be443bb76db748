"""The RBAC manifests and the chart's rules, made from the one list of permissions.

python -m wasmcloud_operator.commands.rbac [--check] [FOLDER]
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import yaml

from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.commands import generated
from wasmcloud_operator.kinds import APPLICATION
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
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME}}
    return [account, *_granted("ClusterRole", NAME, _EVERYWHERE), *_granted("Role", NAME, _IN_OWN_NAMESPACE)]


def in_one_namespace() -> list[JsonObject]:
    """Returns a Role and its binding for one watched namespace."""
    return _granted("Role", f"{NAME}-watched", _IN_A_NAMESPACE)


def for_migration() -> list[JsonObject]:
    """Returns a ClusterRole for moving from the operator written in Rust: to take away what that gave its hosts."""
    return _granted("ClusterRole", f"{NAME}-migration", _MIGRATION)


def for_users() -> list[JsonObject]:
    """Returns ClusterRoles that the built-in roles view, edit and admin take in by aggregation."""
    return [
        _role("ClusterRole", {"name": f"{NAME}-{role}", "labels": {f"{_API}/aggregate-to-{role}": "true"}}, rules)
        for role, rules in USER_ROLES.items()
    ]


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
    return _granted("ClusterRole", f"{NAME}-applications", _NAMESPACE_DELETION)


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


def _rules(rules: Iterable[PermissionRule | UserRule]) -> list[JsonObject]:
    return [
        {
            "apiGroups": [rule.resource.group],
            "resources": [f"{rule.resource.plural}/{rule.subresource}" if rule.subresource else rule.resource.plural],
            "verbs": list(rule.verbs),
        }
        for rule in rules
    ]


def _role(kind: str, metadata: JsonObject, rules: Iterable[PermissionRule | UserRule]) -> JsonObject:
    return {"apiVersion": f"{_API}/v1", "kind": kind, "metadata": metadata, "rules": _rules(rules)}


def _granted(kind: str, name: str, rules: Iterable[PermissionRule]) -> list[JsonObject]:
    """Returns a role and the binding that gives it to the operator."""
    binding: JsonObject = {
        "apiVersion": f"{_API}/v1",
        "kind": f"{kind}Binding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": _API, "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": _OWN_NAMESPACE}],
    }
    return [_role(kind, {"name": name}, rules), binding]


def _text(objects: Iterable[JsonObject]) -> str:
    return _HEADER + yaml.safe_dump_all(objects, sort_keys=False, default_flow_style=None, width=120)


if __name__ == "__main__":
    found = files()
    raise SystemExit(generated.main("rbac", found, DEFAULT_FOLDER, partial(generated.drift, found, "permissions.py")))
