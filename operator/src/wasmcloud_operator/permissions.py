"""What the operator needs to be allowed, and why: the list behind the start-up check and the RBAC manifests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube import resources
from wasmcloud_operator.kube.access import Permission
from wasmcloud_operator.kube.resources import Resource

_READ = ("get", "list", "watch")
_MANAGE = (*_READ, "create", "patch", "delete")


@dataclass(frozen=True, slots=True)
class PermissionRule:
    """Verbs on one kind, and what they are for.

    `own_namespace`: needed in the operator's own namespace only. `optional`: granted where it can be, done without
    elsewhere, so its absence is no fault. `migration`: needed only while moving from the operator written in Rust,
    granted by an overlay of its own.
    """

    resource: Resource
    verbs: tuple[str, ...]
    why: str
    subresource: str = ""
    own_namespace: bool = False
    optional: bool = False
    migration: bool = False


RULES = (
    PermissionRule(HOST_CONFIG, (*_READ, "patch"), "host pools; patch takes an earlier operator's finalizer off"),
    PermissionRule(HOST_CONFIG, ("patch",), "their status", "status"),
    PermissionRule(
        HOST_CONFIG, ("update",), "owner references where OwnerReferencesPermissionEnforcement is on", "finalizers"
    ),
    PermissionRule(APPLICATION, (*_READ, "patch"), "applications; patch puts the finalizer on and takes it off"),
    PermissionRule(APPLICATION, ("patch",), "their status", "status"),
    PermissionRule(
        APPLICATION, ("update",), "owner references where OwnerReferencesPermissionEnforcement is on", "finalizers"
    ),
    PermissionRule(resources.SERVICE_ACCOUNT, _MANAGE, "of the host pods"),
    PermissionRule(resources.CONFIG_MAP, _MANAGE, "nats.conf; changes of referenced CA certificates"),
    PermissionRule(resources.SECRET, _MANAGE, "read referenced ones by name; registry credentials for the host pods"),
    PermissionRule(resources.SERVICE, _MANAGE, "the leaf's Service and the Services of HTTP applications"),
    PermissionRule(resources.DEPLOYMENT, _MANAGE, "host pods"),
    PermissionRule(resources.DAEMON_SET, _MANAGE, "host pods"),
    PermissionRule(resources.POD_DISRUPTION_BUDGET, _MANAGE, "host pods"),
    PermissionRule(resources.POD, (*_READ, "patch"), "find a host's pod; label it with the Services that it serves"),
    PermissionRule(resources.POD, ("patch",), "mark the pods whose hosts serve, by their readiness gate", "status"),
    PermissionRule(resources.ENDPOINT_SLICE, (*_READ, "delete"), "remove what an earlier operator left"),
    PermissionRule(resources.INGRESS, _MANAGE, "of HTTP applications that ask for one"),
    PermissionRule(resources.HTTP_ROUTE, _MANAGE, "of HTTP applications that ask for one"),
    *(
        PermissionRule(
            kind, ("get", "delete"), "remove the rights that an earlier operator granted its hosts", migration=True
        )
        for kind in (resources.ROLE, resources.ROLE_BINDING)
    ),
    PermissionRule(resources.EVENT, ("create", "patch"), "report to users what happens"),
    PermissionRule(
        resources.EVENT,
        ("list",),
        "show why a DaemonSet's pods are refused, which only Events report; report nothing again after a restart",
        optional=True,
    ),
    PermissionRule(
        resources.NAMESPACE, ("get",), "distinguish clusters by kube-system; see one go away", optional=True
    ),
    PermissionRule(resources.API_SERVICE, ("get",), "find what an earlier operator has left behind", optional=True),
    PermissionRule(
        resources.CUSTOM_RESOURCE_DEFINITION,
        ("list", "watch"),
        "notice at once when applications.core.oam.dev becomes another project's; without it by looking each minute",
        optional=True,
    ),
    PermissionRule(
        resources.CONFIG_MAP,
        ("get", "create", "patch"),
        "remember what was left in wadm on purpose",
        own_namespace=True,
    ),
    PermissionRule(resources.LEASE, (*_READ, "create", "update"), "leader election", own_namespace=True),
)


def needed(rules: Iterable[PermissionRule], namespaces: Iterable[str], own_namespace: str) -> list[Permission]:
    """The permissions behind the rules, in each of the namespaces (empty: in all at once)."""
    scopes = tuple(namespaces) or ("",)
    return [
        Permission(verb, rule.resource, rule.subresource, namespace if rule.resource.namespaced else "")
        for rule in rules
        if not (rule.optional or rule.migration)
        for namespace in ((own_namespace,) if rule.own_namespace else scopes)
        for verb in rule.verbs
    ]


@dataclass(frozen=True, slots=True)
class UserRule:
    """Verbs on one of the operator's own kinds for the users of a namespace."""

    resource: Resource
    verbs: tuple[str, ...]
    subresource: str = ""


_READ_STATUS = (UserRule(HOST_CONFIG, ("get",), "status"), UserRule(APPLICATION, ("get",), "status"))
_READ_OWN_KINDS = (
    UserRule(HOST_CONFIG, _READ),
    UserRule(HOST_CONFIG, ("get",), "scale"),
    UserRule(APPLICATION, _READ),
    *_READ_STATUS,
)
_WRITE = ("create", "update", "patch", "delete", "deletecollection")
_WRITE_OWN_KINDS = (
    UserRule(HOST_CONFIG, (*_READ, *_WRITE)),
    UserRule(HOST_CONFIG, ("get", "update", "patch"), "scale"),
    UserRule(APPLICATION, (*_READ, *_WRITE)),
    *_READ_STATUS,
)

# Built-in role to what it takes in: who writes `status` is the operator alone, as with the built-in kinds.
USER_ROLES = {"view": _READ_OWN_KINDS, "edit": _WRITE_OWN_KINDS, "admin": _WRITE_OWN_KINDS}
