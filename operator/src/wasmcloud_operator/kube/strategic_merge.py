"""How the API server merges and keeps the fields of the built-in kinds: which lists have keys, what is atomic, dropped.

From the API types' `x-kubernetes-list-map-keys`, `x-kubernetes-map-type` and Go's omitempty. Fields are known by name:
none of those that we write means one thing here and another there.
"""

from __future__ import annotations

from wasmcloud_operator.kube.jsontypes import Json

# The keys by which lists of objects are merged, where the list's name alone does not tell; most telling first.
LIST_KEYS = (
    ("containerPort", "protocol"),
    ("port", "protocol"),
    ("mountPath",),
    ("devicePath",),
    ("topologyKey", "whenUnsatisfiable"),
    ("uid",),
    ("name",),
    ("type",),
    ("ip",),
)
# Parts of a merge key that the API server fills in.
KEY_DEFAULTS = {"protocol": "TCP"}
# Lists that are replaced as a whole though their items have names, and maps: what others added is not theirs to keep.
ATOMIC_LISTS = frozenset({"subjects", "rules", "httpHeaders", "envFrom", "sources", "items", "tolerations"})
ATOMIC_MAPS = frozenset({"selector", "nodeSelector", "labelSelector", "namespaceSelector", "podSelector"})
# Quantities, or maps of them.
QUANTITIES = frozenset({"limits", "requests", "overhead", "sizeLimit", "divisor", "storage"})
# Maps whose keys are the user's own words.
FREE_MAPS = frozenset({"nodeSelector", "overhead", "matchLabels", "labels", "annotations", "limits", "requests"})

# What is left out of an answer when it has its zero value; other zero values are kept.
_DROPPED_FALSE = frozenset({"hostNetwork", "hostPID", "hostIPC", "stdin", "stdinOnce", "tty", "readOnly"})
_DROPPED_ZERO = frozenset({"initialDelaySeconds", "hostPort", "minReadySeconds"})
_DROPPED_EMPTY = FREE_MAPS | frozenset(
    {"data", "value", "workingDir", "subPath", "subPathExpr", "nodeName", "priorityClassName", "hostname", "subdomain"}
    | {"medium"}
)


def is_dropped(name: str, value: Json) -> bool:
    """Whether the API server leaves a field of that name out when it has this value."""
    if value is False:
        return name in _DROPPED_FALSE
    return (
        value is None
        or value in ([], ())
        or (value in ("", {}) and name in _DROPPED_EMPTY)
        or (value == 0 and name in _DROPPED_ZERO)
    )
