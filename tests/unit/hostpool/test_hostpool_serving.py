"""When a pod's readiness gate is opened: what is known counts, what is not known is never held against it."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from wasmcloud_operator.hostpool.serving import Circumstances, Others, Patience, PoolConnection, is_gated, judge, others
from wasmcloud_operator.kube.objects import Pod
from wasmcloud_operator.lattice.host_types import Host
from wasmcloud_operator.names import SERVING_GATE
from wasmcloud_operator.shared.hosts_in_pods import HostState, PodHost
from wasmcloud_operator.shared.placement_gaps import PlacementGap
from wasmcloud_operator_types import Rollout

UP = PoolConnection(True)
DOWN = PoolConnection(False, message="nats://h:4222: connection refused")
ABSENT = PodHost(HostState.UNHEARD)
LIVE = PodHost(HostState.LIVE, Host(id="N1", last_seen=0.0, inventoried=True))
BASE = Circumstances(
    patience=Patience(True, True, 120),
    waited=3,
    lattice="blue",
    connection=UP,
    hosts_known=True,
    host=ABSENT,
    placement=None,
    others=Others(),
)
THERE = replace(BASE, host=LIVE, placement=PlacementGap())
MISSING = replace(THERE, placement=PlacementGap(("app/http",)))
IGNORANT = replace(THERE, placement=PlacementGap(known=False))


@pytest.mark.parametrize(
    ("now", "status", "reason"),
    [
        pytest.param(THERE, "True", "Serving", id="its host is there and runs what it is to run"),
        pytest.param(MISSING, "False", "ApplicationsMissing", id="a provider is still to start"),
        pytest.param(replace(MISSING, waited=120), "True", "TimedOut", id="a provider that does not start in time"),
        pytest.param(replace(MISSING, patience=Patience(True, False, 120)), "True", "HostInLattice",
                     id="applications are not waited for"),
        pytest.param(IGNORANT, "False", "ApplicationsNotKnown", id="wadm is being asked"),
        pytest.param(replace(IGNORANT, waited=10), "True", "HostInLattice", id="wadm lists what cannot be read"),
        pytest.param(replace(THERE, placement=PlacementGap(known=False, awaited=False)), "True", "HostInLattice",
                     id="a lattice without wadm"),
        pytest.param(BASE, "False", "HostNotInLattice", id="its host is not there yet"),
        pytest.param(replace(BASE, waited=120), "True", "TimedOut", id="no host was ever seen in this pool"),
        pytest.param(replace(BASE, waited=999, others=Others(seen=True)), "False", "HostNotInLattice",
                     id="hosts of other pods are seen, and its own is not"),
        pytest.param(replace(BASE, waited=999, others=Others(seen=True), hosts_known=False), "True", "TimedOut",
                     id="the hosts could not be listed"),
        pytest.param(replace(BASE, patience=Patience(False, True, 120)), "True", "NotAwaited",
                     id="the lattice is not waited for"),
        pytest.param(replace(BASE, connection=DOWN), "True", "LatticeNotConnected", id="nobody knows"),
        pytest.param(replace(BASE, connection=DOWN, others=Others(True, False)), "True", "LatticeNotConnected",
                     id="nobody knows, and no change is under way"),
        pytest.param(replace(BASE, connection=DOWN, waited=999, others=Others(True, True)), "False",
                     "LatticeNotConnected", id="a change has led the pool to where nobody answers"),
        pytest.param(replace(BASE, connection=PoolConnection(False, connecting=True)), "False", "Connecting",
                     id="the operator has only just started"),
    ],
)  # fmt: skip
def test_a_pod_is_held_up_by_what_is_known_alone(now: Circumstances, status: str, reason: str) -> None:
    condition = judge(now)
    assert (condition.type, condition.status, condition.reason) == (SERVING_GATE, status, reason)
    assert condition.message


def test_waits_that_a_config_leaves_out_are_on() -> None:
    assert Patience.of(None) == Patience(True, True, 120)
    assert Patience.of(Rollout(wait_for_lattice=False, timeout_seconds=5)) == Patience(False, True, 5)


def pod(uid: str, *, revision: str = "a", status: str = "True", reason: str = "Serving", going: bool = False) -> Pod:
    metadata = {"name": uid, "uid": uid, "labels": {"pod-template-hash": revision}}
    if going:
        metadata["deletionTimestamp"] = "2026-05-01T12:00:00Z"
    gate = {"type": SERVING_GATE, "status": status, "reason": reason}
    spec = {"readinessGates": [{"conditionType": SERVING_GATE}]}
    return msgspec.convert({"metadata": metadata, "spec": spec, "status": {"conditions": [gate]}}, Pod)


def test_a_pod_of_another_revision_whose_host_was_seen_speaks_for_the_time_before_a_change() -> None:
    mine = pod("mine")
    assert is_gated(mine)
    assert others(mine, [mine]) == Others()
    assert others(mine, [mine, pod("beside")]) == Others(seen=True)
    assert others(mine, [pod("before", revision="b")]) == Others(seen=True, seen_before=True)
    nobody = [
        pod("shut", revision="b", status="False"),
        pod("not seen", revision="b", reason="TimedOut"),
        pod("going", revision="b", going=True),
    ]
    assert others(mine, nobody) == Others()
