"""When a host pod counts as serving (its readiness gate): a pure judgement, in which ignorance is never held against a
pod.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wasmcloud_operator.kube.conditions import Condition
from wasmcloud_operator.kube.objects import Pod
from wasmcloud_operator.names import SERVING_GATE
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.hosts_in_pods import HostState, PodHost
from wasmcloud_operator.shared.placement_gaps import PlacementGap
from wasmcloud_operator_types import Rollout
from wasmcloud_operator_types.defaults import ROLLOUT_SECONDS

# So long the manifests of what wadm lists are waited for.
_WADM_SECONDS = 10.0

# The reasons of a gate that was opened because the host was seen in the lattice. They are read back from the pods:
# after a restart nothing else remembers it.
_SEEN = frozenset({Reason.HOST_IN_LATTICE, Reason.SERVING})
# What distinguishes the revisions of a Deployment's or a DaemonSet's pods.
_REVISION_LABELS = ("pod-template-hash", "controller-revision-hash")


@dataclass(frozen=True, slots=True)
class Patience:
    """What is waited for, and for how many seconds at most."""

    lattice: bool
    applications: bool
    seconds: float

    @classmethod
    def of(cls, rollout: Rollout | None) -> Patience:
        """As the config sets it; what it leaves out is on."""
        given = rollout or Rollout()
        seconds = given.timeout_seconds
        return cls(
            given.wait_for_lattice is not False,
            given.wait_for_applications is not False,
            ROLLOUT_SECONDS if seconds is None else seconds,
        )


@dataclass(frozen=True, slots=True)
class Others:
    """The other pods of the pool: whether a host was seen in any of them, and in one of another revision."""

    seen: bool = False
    seen_before: bool = False


@dataclass(frozen=True, slots=True)
class PoolConnection:
    """Whether the operator is connected to the pool's lattice, is about to be, or why it is not.

    `route` is why the way that the config names leads nowhere, where another one is up: the config was changed.
    """

    connected: bool
    connecting: bool = False
    message: str = ""
    route: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What is known of a pod whose containers are ready; `waited` are seconds since they are.

    `hosts_known` is whether the lattice's hosts have been listed, `placement` is None while its host is not known.
    """

    patience: Patience
    waited: float
    lattice: str = ""
    connection: PoolConnection
    hosts_known: bool = False
    host: PodHost = PodHost(HostState.UNHEARD)  # noqa: RUF009 - immutable
    placement: PlacementGap | None = None
    others: Others


def is_gated(pod: Pod) -> bool:
    """Whether the pod has the gate."""
    return any(gate.condition_type == SERVING_GATE for gate in pod.spec.readiness_gates)


def others(pod: Pod, pods: Iterable[Pod]) -> Others:
    """What the pool's pods show beside this one."""
    seen = [
        each
        for each in pods
        if each.metadata.uid != pod.metadata.uid
        and not each.metadata.deleting
        and (gate := each.condition(SERVING_GATE)) is not None
        and gate.status == "True"
        and gate.reason in _SEEN
    ]
    return Others(bool(seen), any(_revision(each) != _revision(pod) for each in seen))


def judge(now: Circumstances) -> Condition:
    """The gate's condition: True lets the pod be ready, False keeps it waiting."""
    if not now.connection.connected:
        return _unconnected(now)
    if now.host.state is HostState.LIVE and now.host.host is not None and now.host.host.inventoried:
        return _in_lattice(now)
    route = f" ({now.connection.route})" if now.connection.route else ""
    what = f"its host is not in lattice {now.lattice}{route}"
    if not now.patience.lattice:
        return _opened(Reason.NOT_AWAITED, f"{what}, which is not waited for")
    if now.hosts_known and now.others.seen:
        return _shut(Reason.HOST_NOT_IN_LATTICE, f"{what}, and hosts of other pods of the pool are")
    return _until_timeout(now, Reason.HOST_NOT_IN_LATTICE, what)


def _unconnected(now: Circumstances) -> Condition:
    what = f"lattice {now.lattice} is not connected: {now.connection.message}"
    if now.connection.connecting:
        return _shut(Reason.CONNECTING, f"lattice {now.lattice}: connecting")
    if now.others.seen_before and now.patience.lattice:
        # A change that cuts hosts off from their lattice must not go on to the hosts that still serve.
        return _shut(Reason.LATTICE_NOT_CONNECTED, f"{what}; the pods from before the change stay")
    return _opened(Reason.LATTICE_NOT_CONNECTED, f"{what}; not held against the pod")


def _in_lattice(now: Circumstances) -> Condition:
    where = f"its host is in lattice {now.lattice}"
    if not now.patience.applications:
        return _opened(Reason.HOST_IN_LATTICE, where)
    if now.placement is None or not now.placement.known:
        awaited = now.placement is None or now.placement.awaited
        if awaited and now.waited < min(_WADM_SECONDS, now.patience.seconds):
            return _shut(Reason.APPLICATIONS_NOT_KNOWN, f"{where}; what wadm has deployed is not known yet")
        return _opened(
            Reason.HOST_IN_LATTICE, f"{where}; what wadm has deployed is not known, and not held against the pod"
        )
    if now.placement.missing:
        missing = ", ".join(now.placement.missing)
        return _until_timeout(now, Reason.APPLICATIONS_MISSING, f"{where} and does not run {missing}")
    return _opened(Reason.SERVING, f"{where} and runs what wadm places on it")


def _until_timeout(now: Circumstances, reason: Reason, what: str) -> Condition:
    if now.waited < now.patience.seconds:
        return _shut(reason, what)
    return _opened(Reason.TIMED_OUT, f"{what} after {now.patience.seconds:g} s")


def _opened(reason: Reason, message: str) -> Condition:
    return Condition(SERVING_GATE, "True", reason, message)


def _shut(reason: Reason, message: str) -> Condition:
    return Condition(SERVING_GATE, "False", reason, message)


def _revision(pod: Pod) -> str:
    return next((f"{key}={pod.metadata.labels[key]}" for key in _REVISION_LABELS if key in pod.metadata.labels), "")
