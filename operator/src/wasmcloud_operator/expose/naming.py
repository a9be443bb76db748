"""Names, labels and annotations of what leads to an application, and how its users steer that."""

from __future__ import annotations

import hashlib
import re

from wasmcloud_operator.names import MANAGED_BY, MANAGED_BY_LABEL

# The label on a pod: its host serves that Service now.
SERVES_PREFIX = "serves.k8s.wasmcloud.dev/"

# On our Services and routes: what they lead to.
APPLICATION = "k8s.wasmcloud.dev/application"
LATTICE = "k8s.wasmcloud.dev/lattice"
LATTICE_ID = "k8s.wasmcloud.dev/lattice-id"
COMPONENT = "k8s.wasmcloud.dev/component"
# The namespace of the Application that wants them.
APPLICATION_NAMESPACE = "k8s.wasmcloud.dev/application-namespace"
# The annotations of the Application that wanted them, which is to be deleted without its application in wadm.
ORPHANED = "k8s.wasmcloud.dev/orphaned"

# On an Application, or in the manifest of one that was deployed by other means.
SERVICE = "k8s.wasmcloud.dev/service"
SERVICE_NAME = "k8s.wasmcloud.dev/service-name"
SERVICE_TYPE = "k8s.wasmcloud.dev/service-type"
SERVICE_ANNOTATIONS = "k8s.wasmcloud.dev/service-annotations"
GATEWAY = "k8s.wasmcloud.dev/gateway"
INGRESS_CLASS = "k8s.wasmcloud.dev/ingress-class"
# Of Ingress and HTTPRoute: the hosts, separated by commas (* for any), the Secret of their certificate, annotations.
HOST = "k8s.wasmcloud.dev/host"
TLS_SECRET = "k8s.wasmcloud.dev/tls-secret"  # noqa: S105 - the name of an annotation
ROUTE_ANNOTATIONS = "k8s.wasmcloud.dev/route-annotations"
# Where providers listen whose settings nobody can read: a port, or component=port, separated by commas.
HTTP_PORT = "k8s.wasmcloud.dev/http-port"
STEERING = (
    SERVICE,
    SERVICE_NAME,
    SERVICE_TYPE,
    SERVICE_ANNOTATIONS,
    GATEWAY,
    INGRESS_CLASS,
    HOST,
    TLS_SECRET,
    ROUTE_ANNOTATIONS,
    HTTP_PORT,
)

# On a host config: how far applications that were deployed by other means than an Application may reach, a list of
# NodePort, LoadBalancer, Gateway and Ingress.
EXPOSURE = "k8s.wasmcloud.dev/exposure"

COMPONENT_LABEL = "app.kubernetes.io/component"
HTTP_COMPONENT = "http"

_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LONGEST = 63
_HASH_DIGITS = 8


def is_service_name(name: str) -> bool:
    """Whether Kubernetes takes it as the name of a Service (a DNS label of RFC 1035)."""
    return len(name) <= _LONGEST and _LABEL.fullmatch(name) is not None


def service_name(wanted: str) -> str:
    """A valid name of a Service for an application of that name; always the same, and another for each application.

    A name that is valid stays. Of any other what can be kept is kept, with a hash of the whole.
    """
    if is_service_name(wanted):
        return wanted
    kept = re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-")
    if not kept or not kept[0].isalpha():
        kept = f"app-{kept}".rstrip("-")
    digest = hashlib.sha256(wanted.encode()).hexdigest()[:_HASH_DIGITS]
    return f"{kept[: _LONGEST - _HASH_DIGITS - 1].rstrip('-')}-{digest}"


def service_names(base: str, component: str) -> tuple[str, str]:
    """The names that the Service of a component may have: the application's own, or with the component's."""
    return service_name(base), service_name(f"{base}-{component}")


def serves_label(service: str) -> str:
    """The key of the pod label for a Service."""
    return SERVES_PREFIX + service


def labels(service: str) -> dict[str, str]:
    """The labels of a Service or route that leads to an application."""
    return {
        "app.kubernetes.io/name": service,
        COMPONENT_LABEL: HTTP_COMPONENT,
        "app.kubernetes.io/part-of": "wasmcloud",
        MANAGED_BY_LABEL: MANAGED_BY,
    }
