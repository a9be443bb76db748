"""Every condition that the operator writes, and every reason that its conditions and Events bear.

docs/reference/conditions.md is made from these tables; tests/unit/test_reasons.py holds that the code uses no other.
Reasons that Kubernetes has for a pod or a workload (`ImagePullBackOff`, `Unschedulable` …) are passed on as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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

# Why an application's lattice, or a pool's, is or is not reached.
_CONNECTION: Mapping[str, str] = {
    "Connected": "NATS is connected.",
    "Connecting": "The first attempt is under way.",
    "Closed": "No host config leads to the lattice any more.",
    "Unreachable": "No NATS server answers at the address: check `natsAddress`, DNS and NetworkPolicies.",
    "CredentialsRejected": "The server refuses the credentials: check `nats.creds`, or the user in `natsAddress`.",
    "CredentialsExpired": "The credentials have ended: put new ones into the Secret.",
    "NotPermitted": "The NATS user lacks a permission: docs/threat-model.md lists the subjects.",
    "TLSFailed": "TLS failed: check the CA, the client certificate and the server's name.",
}

# While an application is deployed or deleted: a request to wadm that did not succeed. All are tried again.
_REQUEST: Mapping[str, str] = {
    "LatticeUnavailable": "NATS is not connected; nothing was sent.",
    "LatticeBusy": "Too many requests wait for a slow peer; nothing was sent.",
    "WritesForbidden": "This replica may not lead any more; another one goes on.",
    "NotPermitted": "The NATS user may not publish on the subject; nothing was done.",
    "NoResponders": "Nobody listens on the subject: does wadm run in this lattice?",
    "AnswerLost": "No answer came in time; the request may have been done.",
    "PayloadTooLarge": "The manifest is larger than the NATS server's `max_payload`.",
    "GarbledAnswer": "An answer was not JSON or not of the agreed shape.",
    "ControlRejected": "A host refused a request; the message is the host's.",
    "WadmError": "wadm could not be used; the message has what it answered.",
    "WadmUnavailable": "wadm does not answer: does it run in this lattice?",
    "WadmGarbled": "wadm's answer could not be understood: is it a version that this operator supports?",
    "WadmNotFound": "wadm does not know the application or its version any more; it is stored again.",
    "WadmTransient": "wadm could not use its store or reach its workers.",
    "WadmRejected": "wadm refuses the request; the message is wadm's.",
    "WadmVersionExists": "wadm has that version already, with other content.",
    "InvalidConnection": "The addresses, credentials or TLS files cannot be used; the message names which.",
    "InvalidName": "A name cannot be part of a NATS subject; the message names the field.",
    "LatticeError": "The lattice could not be used; the message names why.",
}

_POOL: Mapping[str, str] = {
    "HostsInLattice": "All wanted hosts are in the lattice.",
    "HostsMissing": "Pods run whose hosts are not in the lattice; see the host's and the leaf node's log.",
    "HostsNotKnown": "The lattice's hosts have not been listed yet.",
    "HostsAvailable": "The wanted pods are available.",
    "RollingOut": "Pods are being created or replaced.",
    "WorkloadCreated": "The Deployment or DaemonSet has just been created.",
    "NoRoomToSurge": "A DaemonSet's new pods find no room beside the old ones: set `rollingUpdate.maxSurge` to 0.",
    "ReplicaFailure": "Kubernetes could not create pods, mostly for a quota or an admission webhook.",
    "Available": "The workload is available.",
    "NotAvailable": "The workload is not available yet.",
    "Valid": "Everything that the spec refers to is usable.",
    "Answers": "wadm lists its applications.",
    "NoAnswer": "wadm does not list its applications: does it run, with this lattice's account and JetStream domain?",
    "Asking": "wadm has been asked and has not answered yet.",
    "LatticeNotConnected": "Not known: the lattice is out of reach.",
    "InvalidSpec": "A field has a value that no host can take; the message has its path.",
    "InvalidNatsAddress": "`natsAddress` is no list of NATS URLs of one kind.",
    "InvalidName": "A name cannot be part of a NATS subject; the message names the field.",
    "InvalidAuthority": "An entry of `certificates.authorities` names neither a Secret nor a ConfigMap.",
    "ReservedContainer": "`podTemplateAdditions` has a container with a name that is the operator's own.",
    "SetBack": "Somebody else sets a field back that the operator applies; the message names both.",
    "DuplicateName": "Two containers, volumes or mounts of the pod have one name.",
    "SecretNotFound": "A Secret that the spec names does not exist; it is waited for.",
    "SecretKeyMissing": "A Secret lacks a key that is needed.",
    "SecretTypeWrong": "`registryCredentialsSecret` is not of type kubernetes.io/dockerconfigjson.",
    "SecretContentInvalid": "A Secret's value cannot be read; the message names the key, never the value.",
    "ConfigMapNotFound": "A ConfigMap that the spec names does not exist; it is waited for.",
    "ConfigMapKeyMissing": "A ConfigMap lacks a key that is needed.",
    "Conflict": "An object of that name belongs to somebody else, and is left alone: rename one of the two.",
    "DeploymentRefused": "The API server refuses the Deployment; the message has the path of the field.",
    "DaemonSetRefused": "The API server refuses the DaemonSet; the message has the path of the field.",
    "ServiceRefused": "The API server refuses the Service; the message has its reasons.",
    "ServiceAccountRefused": "The API server refuses the ServiceAccount; the message has its reasons.",
    "ConfigMapRefused": "The API server refuses the ConfigMap; the message has its reasons.",
    "SecretRefused": "The API server refuses the Secret; the message has its reasons.",
    "PodDisruptionBudgetRefused": "The API server refuses the PodDisruptionBudget; the message has its reasons.",
    "OtherOperatorRuns": "The operator written in Rust still runs: stop it first.",
    "ReconcileFailed": "An unexpected error; it is tried again, and the log has the rest.",
    "Paused": "Nothing is written while paused.",
    "HostTooOld": "A field has no effect on hosts of this version.",
    "HostTooNew": "`issuers` have no effect on hosts from 1.0 on.",
    "NoEndpoint": "Telemetry is enabled and has no endpoint to go to.",
    "SecondBudget": "Another PodDisruptionBudget is for the host pods, too; Kubernetes evicts no pod that has two.",
    "LeafServiceOpen": "The leaf nodes' Service lets everybody in the cluster use the hub's credentials.",
    "Created": "The pool's workload was created.",
    "Deleted": "An object that the spec does not ask for any more was deleted.",
    "Adopted": "Objects of the operator written in Rust were taken over.",
    "LatticeLost": "The connection to the lattice was lost.",
    "LatticeFound": "The connection to the lattice is back.",
    "WadmLost": "wadm does not answer any more.",
    "WadmFound": "wadm answers again.",
    "LeftInWadm": "wadm has applications whose Application is gone; `wash app delete` removes them.",
    "OrphanRemoved": "With `--orphans=remove`: an application whose Application is gone was removed from wadm.",
    "OrphansPaused": "With `--orphans=remove`: three were removed, more follow in ten minutes.",
    "OrphansHeld": "With `--orphans=remove`: more than half of a lattice's applications would go, so none is removed.",
}

_APPLICATION: Mapping[str, str] = {
    "Deployed": "wadm reports that all of it runs.",
    "Undeployed": "It is stored in wadm and not deployed, as its annotation asks.",
    "Deploying": "The version was sent, and wadm has not reported on it yet.",
    "Waiting": "wadm waits: for hosts that fit, or for components to start.",
    "Reconciling": "wadm starts or moves components.",
    "Failed": "wadm reports a failure; the message and `status.scalers` have it.",
    "Unhealthy": "wadm reports that a part of it is not healthy.",
    "Unknown": "wadm reports a state that this operator does not know.",
    "Synced": "wadm has this manifest.",
    "InvalidManifest": "wadm would not take the manifest; the message has the path of each fault.",
    "PutRejected": "wadm refuses to store the manifest; the message is wadm's.",
    "DeployRejected": "wadm refuses to deploy the manifest; the message is wadm's.",
    "Conflict": "Another Application, or `wash`, has that name in the lattice, or another object has the Service's.",
    "NoHostConfig": "The namespace has no host config that fits: the application waits for one.",
    "AmbiguousLattice": "The namespace's host configs lead to several lattices: choose one by annotation.",
    "HostConfigNotReady": "The host config's lattice is not known yet; see its status.",
    "HostConfigUnreadable": "A host config of the namespace cannot be decoded; the log has why.",
    "ReconcileFailed": "An unexpected error; it is tried again, and the log has the rest.",
    "DeletionBlocked": "wadm cannot be asked to delete it; `k8s.wasmcloud.dev/deletion-policy: Orphan` is the way out.",
    "Paused": "Nothing is written while paused; a deletion waits.",
    "Deleted": "It was deleted from wadm.",
    "Orphaned": "It was left in wadm, as its annotation asks.",
    "Moved": "It was deleted from a lattice that it has left.",
    "Adopted": "It was in wadm without an owner, or its owner is gone.",
    "DeployedAgain": "wadm had the version and did nothing about it; it was deployed once more.",
    "VersionReused": "The annotation `version` has a value that stands for other content in wadm.",
    "LeftInWadm": "wadm could not be asked while it was deleted; `wash app delete` removes what is left.",
    "LeftBehind": "It is left in a lattice whose host configs are gone.",
    "Exposed": "Its Services have ready endpoints.",
    "Disabled": "The annotation `k8s.wasmcloud.dev/service` asks for no Service.",
    "NoHosts": "No namespace has hosts of its lattice.",
    "NotDeployed": "What the Service leads to is not deployed; the Service stays.",
    "NoReadyEndpoints": "No ready host runs the HTTP provider yet.",
    "ServiceFailed": "An unexpected error with its Service; it is tried again.",
    "ServiceRefused": "The API server refuses the Service; the message has its reasons.",
    "ServiceBeingReplaced": "The Service is deleted first, since it must begin with another address family.",
    "ServiceReplaced": "The Service was made anew, with another cluster IP.",
    "RouteConflict": "A route of that name belongs to somebody else, and is left alone.",
    "SetBack": "Somebody else sets a field of its Service or route back; the message names both.",
    "RouteRefused": "The API server refuses the HTTPRoute or Ingress; the message has its reasons.",
    "GatewayAPIMissing": "The cluster does not serve HTTPRoutes: install the Gateway API.",
    "SeveralPorts": "A route can lead to one port alone, and takes the first.",
    "InvalidAnnotation": "An annotation has a value that cannot be used; the message names it.",
    "ExposureNotAllowed": "An application of `wash` asks for more than the host config's annotation allows.",
    "InvalidHost": "A host name can be no host of a route.",
    "HostMissing": "A route needs a host name: set the annotation `k8s.wasmcloud.dev/host`.",
    "PathNotRoutable": "A path of the manifest cannot be that of a route.",
    "HttpsBackend": "The HTTP server speaks TLS itself, which an HTTPRoute cannot lead to.",
    "MixedFamilies": "Addresses of both families: the Service is one of IPv4; use [::] for both.",
    "PortConflict": "Applications on the same hosts want one port: only the first gets it.",
    "PortReserved": "The port is one of the host's or the leaf node's own.",
    "PortUnknown": "The port cannot be read from the manifest: set the annotation `k8s.wasmcloud.dev/http-port`.",
    "InvalidSettings": "The HTTP server's settings cannot be used; the message has the path.",
    "Loopback": "The HTTP server listens on loopback, where no Service reaches it: use 0.0.0.0.",
    "ConfigMissing": "A configuration that the manifest names is not in the lattice.",
    "ConfigUnknown": "The lattice's configurations cannot be read now.",
    "SharedApplicationMissing": "The application whose component is shared is not deployed.",
}

_POD: Mapping[str, str] = {
    "Serving": "The host is in the lattice and runs what wadm places on it.",
    "HostInLattice": "The host is in the lattice.",
    "HostNotInLattice": "The host is not in the lattice yet; see its log and the leaf node's.",
    "Connecting": "The operator is not connected to the lattice yet.",
    "LatticeNotConnected": "The lattice is out of reach, which is held against new pods alone.",
    "ApplicationsNotKnown": "What wadm has deployed is not known yet.",
    "ApplicationsMissing": "The host does not yet run all that daemonscalers place on it to serve HTTP.",
    "TimedOut": "Applications were waited for as long as `rollout.timeoutSeconds`.",
    "NotAwaited": "`rollout.waitForLattice` is off.",
}

REASONS: Mapping[Where, Mapping[str, str]] = {
    "pool": _POOL,
    "application": {**_APPLICATION, **_REQUEST},
    "connection": _CONNECTION,
    "pod": _POD,
}
"""By what bears them: condition or Event of a pool, of an application, `LatticeConnected` of both, a pod's gate."""
