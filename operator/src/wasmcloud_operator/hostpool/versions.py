"""The features by host version, for rendering and checks alike.

Taken from `src/main.rs` of wasmCloud at the tags of its releases.
"""

from __future__ import annotations

import re
from enum import Enum

_Version = tuple[int, int]
# A hash of a commit begins with a number as well, at times.
_NUMBERS = re.compile(r"v?(\d+)(?![0-9A-Za-z_])(?:\.(\d+))?")


class Feature(Enum):
    """What only some hosts understand."""

    CLUSTER_SEED = "WASMCLOUD_CLUSTER_SEED and WASMCLOUD_CLUSTER_ISSUERS"
    LATTICE_PREFIX = "WASMCLOUD_LATTICE_PREFIX"  # up to 0.81 the only name of the lattice
    SHORT_REGISTRY_NAMES = "OCI_REGISTRY, OCI_REGISTRY_USER and OCI_REGISTRY_PASSWORD"  # without WASMCLOUD_ before
    OBSERVABILITY = "--enable-observability, --enable-<signal>, --override-<signal>-endpoint"
    OBSERVABILITY_PROTOCOL = "--observability-protocol"
    AUTHORITIES = "--tls-ca-path"
    SECRETS_TOPIC = "WASMCLOUD_SECRETS_TOPIC"
    MAX_LINEAR_MEMORY = "WASMCLOUD_MAX_LINEAR_MEMORY"
    HTTP_ADMIN = "WASMCLOUD_HTTP_ADMIN with /livez and /readyz"


# The first version that understands it, and the first that no longer does.
_VERSIONS: dict[Feature, tuple[_Version, _Version | None]] = {
    Feature.CLUSTER_SEED: ((0, 0), (1, 0)),
    Feature.LATTICE_PREFIX: ((0, 0), (1, 0)),
    Feature.SHORT_REGISTRY_NAMES: ((0, 0), (0, 81)),
    Feature.OBSERVABILITY: ((1, 0), None),
    Feature.OBSERVABILITY_PROTOCOL: ((1, 1), None),
    Feature.AUTHORITIES: ((1, 1), None),
    Feature.SECRETS_TOPIC: ((1, 1), None),
    Feature.MAX_LINEAR_MEMORY: ((1, 2), None),
    Feature.HTTP_ADMIN: ((1, 5), None),
}


def understands(version: str, feature: Feature) -> bool:
    """Whether hosts of that version understand it. A version that is no number (`latest`) counts as the newest."""
    since, until = _VERSIONS[feature]
    number = _number(version)
    if number is None:
        return until is None
    return since <= number and (until is None or number < until)


def since(feature: Feature) -> str:
    """The first version that understands it, in words for users."""
    return "{}.{}".format(*_VERSIONS[feature][0])


def is_known(version: str) -> bool:
    """Whether the version is a number, so that it can be compared."""
    return _number(version) is not None


def _number(version: str) -> _Version | None:
    match = _NUMBERS.match(version)
    return (int(match[1]), int(match[2] or 0)) if match else None
