"""Why the API server refused a Service or a route."""

from __future__ import annotations

from wasmcloud_operator.kube.errors import ApiError, BadRequest, Forbidden, Invalid

# Answers that asking again does not change: somebody has to mend something first.
REFUSALS = (BadRequest, Invalid, Forbidden)

_FAMILY_FIELDS = ("spec.clusterIPs[0]", "spec.clusterIP", "spec.ipFamilies[0]")


def reasons(error: ApiError) -> str:
    """The fields that it refused, or its message."""
    return "; ".join(f"{path}: {message}" for path, message in error.causes) or error.message


def is_of_family(error: ApiError) -> bool:
    """Whether it is about the first address family, which a Service keeps as long as it lives, and nothing else."""
    return isinstance(error, Invalid) and bool(error.causes) and all(path in _FAMILY_FIELDS for path, _ in error.causes)
