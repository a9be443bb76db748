"""Every condition that the operator writes, and every reason that its conditions and Events bear.

docs/reference/conditions.md is made from these tables; tests/unit/test_reasons.py holds that the code uses no other.
Reasons that Kubernetes has for a pod or a workload (`ImagePullBackOff`, `Unschedulable` …) are passed on as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Where = Literal["pool", "application", "pod", "connection"]


@dataclass(frozen=True, slots=True)
class ConditionType:
    """A condition: whose it is, and when it is True."""

    type: str
    of: tuple[Literal["pool", "application", "pod"], ...]
    meaning: str


CONDITIONS: tuple[ConditionType, ...] = (
    ConditionType("Ready", ("pool", "application"), "It runs as its spec asks; Unknown while on the way there."),
    ConditionType("Reconciling", ("pool", "application"), "Work is under way, and nothing is left for a user to do."),
    ConditionType("Stalled", ("pool", "application"), "Only a user can mend it; the message names what to do."),
    ConditionType("LatticeConnected", ("pool", "application"), "The operator is connected to the lattice's NATS."),
    ConditionType("WadmConnected", ("pool",), "wadm answers in the lattice."),
    ConditionType("SecretsValid", ("pool",), "Every Secret and ConfigMap that the spec names is there and usable."),
    ConditionType("WorkloadAvailable", ("pool",), "The Deployment or DaemonSet is available."),
    ConditionType(
        "Warnings", ("pool",), "Something in the spec has no effect or an unsafe one; absent if there is none."
    ),
    ConditionType("Synced", ("application",), "wadm has this content of the application."),
    ConditionType("Exposed", ("application",), "Its Services lead to ready pods; absent if it offers no HTTP."),
    ConditionType(
        "Paused", ("pool", "application"), "The annotation `k8s.wasmcloud.dev/paused` stops all other writes."
    ),
    ConditionType(
        "k8s.wasmcloud.dev/serving", ("pod",), "The pod's readiness gate: its host is in the lattice and serves."
    ),
)


class Reason(StrEnum):
    """Every reason: code compares these, never the texts that a condition shows."""

    ADOPTED = "Adopted"
    AMBIGUOUS_LATTICE = "AmbiguousLattice"
    ANSWER_LOST = "AnswerLost"
    ANSWERS = "Answers"
    APPLICATIONS_MISSING = "ApplicationsMissing"
    APPLICATIONS_NOT_KNOWN = "ApplicationsNotKnown"
    ASKING = "Asking"
    AVAILABLE = "Available"
    CLOSED = "Closed"
    CONFIG_MAP_KEY_MISSING = "ConfigMapKeyMissing"
    CONFIG_MAP_NOT_FOUND = "ConfigMapNotFound"
    CONFIG_MAP_REFUSED = "ConfigMapRefused"
    CONFIG_MISSING = "ConfigMissing"
    CONFIG_UNKNOWN = "ConfigUnknown"
    CONFLICT = "Conflict"
    CONNECTED = "Connected"
    CONNECTING = "Connecting"
    CONTROL_REJECTED = "ControlRejected"
    CREATED = "Created"
    CREDENTIALS_EXPIRED = "CredentialsExpired"
    CREDENTIALS_REJECTED = "CredentialsRejected"
    DAEMON_SET_REFUSED = "DaemonSetRefused"
    DELETED = "Deleted"
    DELETION_BLOCKED = "DeletionBlocked"
    DEPLOY_REJECTED = "DeployRejected"
    DEPLOYED = "Deployed"
    DEPLOYED_AGAIN = "DeployedAgain"
    DEPLOYING = "Deploying"
    DEPLOYMENT_REFUSED = "DeploymentRefused"
    DISABLED = "Disabled"
    DUPLICATE_NAME = "DuplicateName"
    EXPOSED = "Exposed"
    EXPOSURE_NOT_ALLOWED = "ExposureNotAllowed"
    FAILED = "Failed"
    GARBLED_ANSWER = "GarbledAnswer"
    GATEWAY_API_MISSING = "GatewayAPIMissing"
    HOST_CONFIG_NOT_READY = "HostConfigNotReady"
    HOST_CONFIG_UNREADABLE = "HostConfigUnreadable"
    HOST_IN_LATTICE = "HostInLattice"
    HOST_MISSING = "HostMissing"
    HOST_NOT_IN_LATTICE = "HostNotInLattice"
    HOST_TOO_NEW = "HostTooNew"
    HOST_TOO_OLD = "HostTooOld"
    HOSTS_AVAILABLE = "HostsAvailable"
    HOSTS_IN_LATTICE = "HostsInLattice"
    HOSTS_MISSING = "HostsMissing"
    HOSTS_NOT_KNOWN = "HostsNotKnown"
    HTTPS_BACKEND = "HttpsBackend"
    INVALID_ANNOTATION = "InvalidAnnotation"
    INVALID_AUTHORITY = "InvalidAuthority"
    INVALID_CONNECTION = "InvalidConnection"
    INVALID_HOST = "InvalidHost"
    INVALID_MANIFEST = "InvalidManifest"
    INVALID_NAME = "InvalidName"
    INVALID_NATS_ADDRESS = "InvalidNatsAddress"
    INVALID_SETTINGS = "InvalidSettings"
    INVALID_SPEC = "InvalidSpec"
    LATTICE_BUSY = "LatticeBusy"
    LATTICE_ERROR = "LatticeError"
    LATTICE_FOUND = "LatticeFound"
    LATTICE_LOST = "LatticeLost"
    LATTICE_NOT_CONNECTED = "LatticeNotConnected"
    LATTICE_UNAVAILABLE = "LatticeUnavailable"
    LEAF_SERVICE_OPEN = "LeafServiceOpen"
    LEFT_BEHIND = "LeftBehind"
    LEFT_IN_WADM = "LeftInWadm"
    LOOPBACK = "Loopback"
    MIXED_FAMILIES = "MixedFamilies"
    MOVED = "Moved"
    NO_ANSWER = "NoAnswer"
    NO_ENDPOINT = "NoEndpoint"
    NO_HOST_CONFIG = "NoHostConfig"
    NO_HOSTS = "NoHosts"
    NO_READY_ENDPOINTS = "NoReadyEndpoints"
    NO_RESPONDERS = "NoResponders"
    NO_ROOM_TO_SURGE = "NoRoomToSurge"
    NOT_AVAILABLE = "NotAvailable"
    NOT_AWAITED = "NotAwaited"
    NOT_DEPLOYED = "NotDeployed"
    NOT_PERMITTED = "NotPermitted"
    ORPHAN_REMOVED = "OrphanRemoved"
    ORPHANED = "Orphaned"
    ORPHANS_HELD = "OrphansHeld"
    ORPHANS_PAUSED = "OrphansPaused"
    OTHER_OPERATOR_RUNS = "OtherOperatorRuns"
    PATH_NOT_ROUTABLE = "PathNotRoutable"
    PAUSED = "Paused"
    PAYLOAD_TOO_LARGE = "PayloadTooLarge"
    POD_DISRUPTION_BUDGET_REFUSED = "PodDisruptionBudgetRefused"
    PORT_CONFLICT = "PortConflict"
    PORT_RESERVED = "PortReserved"
    PORT_UNKNOWN = "PortUnknown"
    PUT_REJECTED = "PutRejected"
    RECONCILE_FAILED = "ReconcileFailed"
    RECONCILING = "Reconciling"
    REGISTRY_UNUSED = "RegistryUnused"
    REPLICA_FAILURE = "ReplicaFailure"
    RESERVED_CONTAINER = "ReservedContainer"
    ROLLING_OUT = "RollingOut"
    ROUTE_CONFLICT = "RouteConflict"
    ROUTE_REFUSED = "RouteRefused"
    SECOND_BUDGET = "SecondBudget"
    SECRET_CONTENT_INVALID = "SecretContentInvalid"
    SECRET_KEY_MISSING = "SecretKeyMissing"
    SECRET_NOT_FOUND = "SecretNotFound"
    SECRET_REFUSED = "SecretRefused"
    SECRET_TYPE_WRONG = "SecretTypeWrong"
    SERVICE_ACCOUNT_REFUSED = "ServiceAccountRefused"
    SERVICE_BEING_REPLACED = "ServiceBeingReplaced"
    SERVICE_FAILED = "ServiceFailed"
    SERVICE_REFUSED = "ServiceRefused"
    SERVICE_REPLACED = "ServiceReplaced"
    SERVING = "Serving"
    SET_BACK = "SetBack"
    SEVERAL_PORTS = "SeveralPorts"
    SHARED_APPLICATION_MISSING = "SharedApplicationMissing"
    SYNCED = "Synced"
    TLS_FAILED = "TLSFailed"
    TIMED_OUT = "TimedOut"
    UNDEPLOYED = "Undeployed"
    UNHEALTHY = "Unhealthy"
    UNKNOWN = "Unknown"
    UNREACHABLE = "Unreachable"
    VALID = "Valid"
    VERSION_REUSED = "VersionReused"
    WADM_ERROR = "WadmError"
    WADM_FOUND = "WadmFound"
    WADM_GARBLED = "WadmGarbled"
    WADM_LOST = "WadmLost"
    WADM_NOT_FOUND = "WadmNotFound"
    WADM_REJECTED = "WadmRejected"
    WADM_TRANSIENT = "WadmTransient"
    WADM_UNAVAILABLE = "WadmUnavailable"
    WADM_VERSION_EXISTS = "WadmVersionExists"
    WAITING = "Waiting"
    WORKLOAD_CREATED = "WorkloadCreated"
    WRITES_FORBIDDEN = "WritesForbidden"


# Why an application's lattice, or a pool's, is or is not reached.
_CONNECTION: Mapping[Reason, str] = {
    Reason.CONNECTED: "NATS is connected.",
    Reason.CONNECTING: "The first attempt is under way.",
    Reason.CLOSED: "No host config leads to the lattice any more.",
    Reason.UNREACHABLE: "No NATS server answers at the address: check `natsAddress`, DNS and NetworkPolicies.",
    Reason.CREDENTIALS_REJECTED: "The server refuses the credentials: check `nats.creds` or the user in `natsAddress`.",
    Reason.CREDENTIALS_EXPIRED: "The credentials have ended: put new ones into the Secret.",
    Reason.NOT_PERMITTED: "The NATS user lacks a permission: docs/threat-model.md lists the subjects.",
    Reason.TLS_FAILED: "TLS failed: check the CA, the client certificate and the server's name.",
}

# While an application is deployed or deleted: a request to wadm that did not succeed. All are tried again.
_REQUEST: Mapping[Reason, str] = {
    Reason.LATTICE_UNAVAILABLE: "NATS is not connected; nothing was sent.",
    Reason.LATTICE_BUSY: "Too many requests wait for a slow peer; nothing was sent.",
    Reason.WRITES_FORBIDDEN: "This replica may not lead any more; another one goes on.",
    Reason.NOT_PERMITTED: "The NATS user is not permitted to publish on the subject; nothing was done.",
    Reason.NO_RESPONDERS: "Nobody listens on the subject: does wadm run in this lattice?",
    Reason.ANSWER_LOST: "No answer came in time; the request may have been done.",
    Reason.PAYLOAD_TOO_LARGE: "The manifest is larger than the NATS server's `max_payload`.",
    Reason.GARBLED_ANSWER: "An answer was not JSON or not of the agreed shape.",
    Reason.CONTROL_REJECTED: "A host refused a request; the message is the host's.",
    Reason.WADM_ERROR: "wadm could not be used; the message has what it answered.",
    Reason.WADM_UNAVAILABLE: "wadm does not answer: does it run in this lattice?",
    Reason.WADM_GARBLED: "wadm's answer could not be understood: is it a version that this operator supports?",
    Reason.WADM_NOT_FOUND: "wadm does not know the application or its version any more; it is stored again.",
    Reason.WADM_TRANSIENT: "wadm could not use its store or reach its workers.",
    Reason.WADM_REJECTED: "wadm refuses the request; the message is wadm's.",
    Reason.WADM_VERSION_EXISTS: "wadm has that version already, with other content.",
    Reason.INVALID_CONNECTION: "The addresses, credentials or TLS files cannot be used; the message names which.",
    Reason.INVALID_NAME: "A name cannot be part of a NATS subject; the message names the field.",
    Reason.LATTICE_ERROR: "The lattice could not be used; the message names why.",
}

_POOL: Mapping[Reason, str] = {
    Reason.HOSTS_IN_LATTICE: "All wanted hosts are in the lattice.",
    Reason.HOSTS_MISSING: "Pods run whose hosts are not in the lattice; see the host's and the leaf node's log.",
    Reason.HOSTS_NOT_KNOWN: "The lattice's hosts have not been listed yet.",
    Reason.HOSTS_AVAILABLE: "The wanted pods are available.",
    Reason.ROLLING_OUT: "Pods are being created or replaced.",
    Reason.WORKLOAD_CREATED: "The Deployment or DaemonSet has just been created.",
    Reason.NO_ROOM_TO_SURGE: "A DaemonSet's new pods find no room beside the old: set `rollingUpdate.maxSurge` to 0.",
    Reason.REPLICA_FAILURE: "Kubernetes could not create pods, mostly for a quota or an admission webhook.",
    Reason.AVAILABLE: "The workload is available.",
    Reason.NOT_AVAILABLE: "The workload is not available yet.",
    Reason.VALID: "Everything that the spec refers to is usable.",
    Reason.ANSWERS: "wadm lists its applications.",
    Reason.NO_ANSWER: "wadm does not list its applications: does it run, in this account and JetStream domain?",
    Reason.ASKING: "wadm has been asked and has not answered yet.",
    Reason.LATTICE_NOT_CONNECTED: "Not known: the lattice is out of reach.",
    Reason.INVALID_SPEC: "A field has a value that no host can take; the message has its path.",
    Reason.INVALID_NATS_ADDRESS: "`natsAddress` is no list of NATS URLs of one kind.",
    Reason.INVALID_NAME: "A name cannot be part of a NATS subject; the message names the field.",
    Reason.INVALID_AUTHORITY: "An entry of `certificates.authorities` names neither a Secret nor a ConfigMap.",
    Reason.RESERVED_CONTAINER: "`podTemplateAdditions` has a container with a name that is the operator's own.",
    Reason.SET_BACK: "Somebody else sets a field back that the operator applies; the message names both.",
    Reason.DUPLICATE_NAME: "Two containers, volumes or mounts of the pod have one name.",
    Reason.SECRET_NOT_FOUND: "A Secret that the spec names does not exist; it is waited for.",
    Reason.SECRET_KEY_MISSING: "A Secret lacks a key that is needed.",
    Reason.SECRET_TYPE_WRONG: "`registryCredentialsSecret` is not of type kubernetes.io/dockerconfigjson.",
    Reason.SECRET_CONTENT_INVALID: "A Secret's value cannot be read; the message names the key, never the value.",
    Reason.CONFIG_MAP_NOT_FOUND: "A ConfigMap that the spec names does not exist; it is waited for.",
    Reason.CONFIG_MAP_KEY_MISSING: "A ConfigMap lacks a key that is needed.",
    Reason.CONFLICT: "An object of that name belongs to somebody else, and is left alone: rename one of the two.",
    Reason.DEPLOYMENT_REFUSED: "The API server refuses the Deployment; the message has the path of the field.",
    Reason.DAEMON_SET_REFUSED: "The API server refuses the DaemonSet; the message has the path of the field.",
    Reason.SERVICE_REFUSED: "The API server refuses the Service; the message has its reasons.",
    Reason.SERVICE_ACCOUNT_REFUSED: "The API server refuses the ServiceAccount; the message has its reasons.",
    Reason.CONFIG_MAP_REFUSED: "The API server refuses the ConfigMap; the message has its reasons.",
    Reason.SECRET_REFUSED: "The API server refuses the Secret; the message has its reasons.",
    Reason.POD_DISRUPTION_BUDGET_REFUSED: "The API server refuses the PodDisruptionBudget; the message has why.",
    Reason.OTHER_OPERATOR_RUNS: "The operator written in Rust still runs: stop it first.",
    Reason.RECONCILE_FAILED: "An unexpected error; it is tried again, and the log has the rest.",
    Reason.PAUSED: "Nothing is written while paused.",
    Reason.HOST_TOO_OLD: "A field has no effect on hosts of this version.",
    Reason.HOST_TOO_NEW: "`issuers` have no effect on hosts from 1.0 on.",
    Reason.NO_ENDPOINT: "Telemetry is enabled and has no endpoint to go to.",
    Reason.REGISTRY_UNUSED: "Hosts cannot use an entry of the registry credentials; the kubelet does, for images.",
    Reason.SECOND_BUDGET: "Another PodDisruptionBudget is for the host pods; Kubernetes evicts no pod that has two.",
    Reason.LEAF_SERVICE_OPEN: "The leaf nodes' Service lets everybody in the cluster use the hub's credentials.",
    Reason.CREATED: "The pool's workload was created.",
    Reason.DELETED: "An object that the spec does not ask for any more was deleted.",
    Reason.ADOPTED: "Objects of the operator written in Rust were taken over.",
    Reason.LATTICE_LOST: "The connection to the lattice was lost.",
    Reason.LATTICE_FOUND: "The connection to the lattice is back.",
    Reason.WADM_LOST: "wadm does not answer any more.",
    Reason.WADM_FOUND: "wadm answers again.",
    Reason.LEFT_IN_WADM: "wadm has applications whose Application is gone; `wash app delete` removes them.",
    Reason.ORPHAN_REMOVED: "With `--orphans=remove`: an application whose Application is gone was removed from wadm.",
    Reason.ORPHANS_PAUSED: "With `--orphans=remove`: three were removed, more follow in ten minutes.",
    Reason.ORPHANS_HELD: "With `--orphans=remove`: over half of a lattice's applications would go, so none is removed.",
}

_APPLICATION: Mapping[Reason, str] = {
    Reason.DEPLOYED: "wadm reports that all of it runs.",
    Reason.UNDEPLOYED: "It is stored in wadm and not deployed, as its annotation asks.",
    Reason.DEPLOYING: "The version was sent, and wadm has not reported on it yet.",
    Reason.WAITING: "wadm waits: for hosts that fit, or for components to start.",
    Reason.RECONCILING: "wadm starts or moves components.",
    Reason.FAILED: "wadm reports a failure; the message and `status.scalers` have it.",
    Reason.UNHEALTHY: "wadm reports that a part of it is not healthy.",
    Reason.UNKNOWN: "wadm reports a state that this operator does not know.",
    Reason.SYNCED: "wadm has this manifest.",
    Reason.INVALID_MANIFEST: "wadm would not take the manifest; the message has the path of each fault.",
    Reason.PUT_REJECTED: "wadm refuses to store the manifest; the message is wadm's.",
    Reason.DEPLOY_REJECTED: "wadm refuses to deploy the manifest; the message is wadm's.",
    Reason.CONFLICT: "Another Application or `wash` has that name in the lattice, or another object has the Service's.",
    Reason.NO_HOST_CONFIG: "The namespace has no host config that fits: the application waits for one.",
    Reason.AMBIGUOUS_LATTICE: "The namespace's host configs lead to several lattices: choose one by annotation.",
    Reason.HOST_CONFIG_NOT_READY: "The host config's lattice is not known yet; see its status.",
    Reason.HOST_CONFIG_UNREADABLE: "A host config of the namespace cannot be decoded; the log has why.",
    Reason.RECONCILE_FAILED: "An unexpected error; it is tried again, and the log has the rest.",
    Reason.DELETION_BLOCKED: "wadm cannot be asked; `k8s.wasmcloud.dev/deletion-policy: Orphan` is the way out.",
    Reason.PAUSED: "Nothing is written while paused; a deletion waits.",
    Reason.DELETED: "It was deleted from wadm.",
    Reason.ORPHANED: "It was left in wadm, as its annotation asks.",
    Reason.MOVED: "It was deleted from a lattice that it has left.",
    Reason.ADOPTED: "It was in wadm without an owner, or its owner is gone.",
    Reason.DEPLOYED_AGAIN: "wadm had the version and did nothing about it; it was deployed once more.",
    Reason.VERSION_REUSED: "The annotation `version` has a value that stands for other content in wadm.",
    Reason.LEFT_IN_WADM: "wadm could not be asked while it was deleted; `wash app delete` removes what is left.",
    Reason.LEFT_BEHIND: "It is left in a lattice whose host configs are gone.",
    Reason.EXPOSED: "Its Services have ready endpoints.",
    Reason.DISABLED: "The annotation `k8s.wasmcloud.dev/service` asks for no Service.",
    Reason.NO_HOSTS: "No namespace has hosts of its lattice.",
    Reason.NOT_DEPLOYED: "What the Service leads to is not deployed; the Service stays.",
    Reason.NO_READY_ENDPOINTS: "No ready host runs the HTTP provider yet.",
    Reason.SERVICE_FAILED: "An unexpected error with its Service; it is tried again.",
    Reason.SERVICE_REFUSED: "The API server refuses the Service; the message has its reasons.",
    Reason.SERVICE_BEING_REPLACED: "The Service is deleted first, since it must begin with another address family.",
    Reason.SERVICE_REPLACED: "The Service was made anew, with another cluster IP.",
    Reason.ROUTE_CONFLICT: "A route of that name belongs to somebody else, and is left alone.",
    Reason.SET_BACK: "Somebody else sets a field of its Service or route back; the message names both.",
    Reason.ROUTE_REFUSED: "The API server refuses the HTTPRoute or Ingress; the message has its reasons.",
    Reason.GATEWAY_API_MISSING: "The cluster does not serve HTTPRoutes: install the Gateway API.",
    Reason.SEVERAL_PORTS: "A route can lead to one port alone, and takes the first.",
    Reason.INVALID_ANNOTATION: "An annotation has a value that cannot be used; the message names it.",
    Reason.EXPOSURE_NOT_ALLOWED: "An application of `wash` asks for more than the host config's annotation allows.",
    Reason.INVALID_HOST: "A host name can be no host of a route.",
    Reason.HOST_MISSING: "A route needs a host name: set the annotation `k8s.wasmcloud.dev/host`.",
    Reason.PATH_NOT_ROUTABLE: "A path of the manifest cannot be that of a route.",
    Reason.HTTPS_BACKEND: "The HTTP server speaks TLS itself, which an HTTPRoute cannot lead to.",
    Reason.MIXED_FAMILIES: "Addresses of both families: the Service is one of IPv4; use [::] for both.",
    Reason.PORT_CONFLICT: "Applications on the same hosts want one port: only the first can listen.",
    Reason.PORT_RESERVED: "The port is one of the host's or the leaf node's own.",
    Reason.PORT_UNKNOWN: "The port cannot be read from the manifest: set the annotation `k8s.wasmcloud.dev/http-port`.",
    Reason.INVALID_SETTINGS: "The HTTP server's settings cannot be used; the message has the path.",
    Reason.LOOPBACK: "The HTTP server listens on loopback, where no Service reaches it: use 0.0.0.0.",
    Reason.CONFIG_MISSING: "A configuration that the manifest names is not in the lattice.",
    Reason.CONFIG_UNKNOWN: "The lattice's configurations cannot be read now.",
    Reason.SHARED_APPLICATION_MISSING: "The application whose component is shared is not deployed.",
}

_POD: Mapping[Reason, str] = {
    Reason.SERVING: "The host is in the lattice and runs what wadm places on it.",
    Reason.HOST_IN_LATTICE: "The host is in the lattice.",
    Reason.HOST_NOT_IN_LATTICE: "The host is not in the lattice yet; see its log and the leaf node's.",
    Reason.CONNECTING: "The operator is not connected to the lattice yet.",
    Reason.LATTICE_NOT_CONNECTED: "The lattice is out of reach, which is held against new pods alone.",
    Reason.APPLICATIONS_NOT_KNOWN: "What wadm has deployed is not known yet.",
    Reason.APPLICATIONS_MISSING: "The host does not yet run all that daemonscalers place on it to serve HTTP.",
    Reason.TIMED_OUT: "Applications were waited for as long as `rollout.timeoutSeconds`.",
    Reason.NOT_AWAITED: "`rollout.waitForLattice` is off.",
}

REASONS: Mapping[Where, Mapping[Reason, str]] = {
    "pool": _POOL,
    "application": {**_APPLICATION, **_REQUEST},
    "connection": _CONNECTION,
    "pod": _POD,
}
"""By what bears them: condition or Event of a pool, of an application, `LatticeConnected` of both, a pod's gate."""
