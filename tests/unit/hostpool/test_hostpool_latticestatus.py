"""What a status says of a lattice: nothing flaps, nothing is lost while nothing newer is known, lists are bounded."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from wasmcloud_operator.hostpool.lattice_status import (
    CONNECTED,
    MOST_SHOWN,
    HostInPod,
    SeenLattice,
    in_lattice,
    lattice_status,
)
from wasmcloud_operator.kube.conditions import ready
from wasmcloud_operator.lattice.connection_types import ConnectionPhase, ConnectionState
from wasmcloud_operator.lattice.host_types import Host, Provider, RunningComponent
from wasmcloud_operator.lattice.wadm_types import model_summary

NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
UP = ConnectionState(ConnectionPhase.CONNECTED, "Connected", "connected to nats://h:4222", NOW)
CONNECTING = ConnectionState(ConnectionPhase.CONNECTING, "Connecting", "the first attempt is under way", NOW)


def down(reason="Unreachable", message="nats://h:4222: connection refused"):
    return ConnectionState(ConnectionPhase.LOST, reason, message, NOW)


def seen(state=UP, hosts=None, apps=None, wadm=None):
    return SeenLattice(
        lattice="blue", addresses=("nats://h:4222",), connection=state, hosts=hosts, apps=apps, wadm=wadm
    )


def standing(status, reason, message):
    return {"conditions": [{"type": CONNECTED, "status": status, "reason": reason, "message": message}]}


def host(number, **about):
    return Host(id=f"N{number}", last_seen=0.0, **about)


@pytest.mark.parametrize(
    ("state", "before", "expected"),
    [
        (UP, {}, ("True", "Connected", "lattice blue at nats://h:4222")),
        (CONNECTING, {}, ("Unknown", "Connecting", "lattice blue at nats://h:4222: connecting")),
        (CONNECTING, standing("True", "Connected", "m"), ("True", "Connected", "m")),
        (CONNECTING, standing("False", "Unreachable", "m"), ("False", "Unreachable", "m")),
        (down(), {}, ("False", "Unreachable",
                      "lattice blue: nats://h:4222: connection refused; the pods stay managed")),
        (down(message="nats://other: no answer"), standing("False", "Unreachable", "m"), ("False", "Unreachable", "m")),
        (down("CredentialsRejected", "no"), standing("False", "Unreachable", "m"),
         ("False", "CredentialsRejected", "lattice blue: no; the pods stay managed")),
    ],
)  # fmt: skip
def test_the_condition_changes_only_with_what_it_means(state, before, expected):
    (condition, _), _ = lattice_status(seen(state), before)
    assert (condition.status, condition.reason, condition.message) == expected


def test_unknown_facts_leave_the_status_as_it_is():
    before = {"hostCount": 1, "hosts": [{"id": "N1"}], "appCount": 2, "apps": [{"name": "a"}], "replicas": 3}
    _, fields = lattice_status(seen(down()), before)
    assert fields == {name: before[name] for name in ("hostCount", "hosts", "appCount", "apps")}


def test_hosts_are_listed_with_their_pods():
    provider = Provider("p", "http-server:1", {"wasmcloud.dev/appspec": "shop"})
    full = host(1, friendly_name="quiet-1", version="1.9.0", started_at=NOW, providers={"p": provider},
                components={"a": RunningComponent("shop"), "b": RunningComponent("news"), "c": RunningComponent()},
                labels={"zone": "b", "kubernetes_pod_uid": "u", "kubernetes_pod_name": "pod-a"})  # fmt: skip
    hosts = (HostInPod("pod-a", "node-1", full), HostInPod("pod-b", "", host(2)))
    _, fields = lattice_status(seen(hosts=hosts), {"hostCount": 7, "hosts": []})
    assert fields == {
        "hostCount": 2,
        "hosts": [
            {"id": "N1", "pod": "pod-a", "node": "node-1", "friendlyName": "quiet-1", "version": "1.9.0",
             "startedAt": "2026-05-01T12:00:00Z", "labels": {"zone": "b"}, "components": 3, "providers": 1,
             "applications": [{"name": "news", "components": 1, "providers": 0},
                              {"name": "shop", "components": 1, "providers": 1}]},
            {"id": "N2", "pod": "pod-b", "components": 0, "providers": 0},
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "2026-05-01T12:00:00Z"), (5, "2026-05-01T12:00:00Z"), (-5, "2026-05-01T12:00:00Z"),
     (6, "2026-05-01T12:00:06Z"), (-6, "2026-05-01T11:59:54Z")],
)  # fmt: skip
def test_the_start_that_was_stored_stays_within_five_seconds(seconds, shown):
    now = host(1, started_at=NOW + timedelta(seconds=seconds))
    before = {"hosts": [{"id": "N1", "startedAt": "2026-05-01T12:00:00Z"}]}
    _, fields = lattice_status(seen(hosts=(HostInPod("pod", "", now),)), before)
    assert fields["hosts"][0]["startedAt"] == shown


@pytest.mark.parametrize("stored", ["yesterday", "2026-05-01T12:00:00", None])
def test_a_start_that_is_no_time_is_replaced(stored):
    before = {"hosts": [{"id": "N1", "startedAt": stored}]}
    _, fields = lattice_status(seen(hosts=(HostInPod("pod", "", host(1, started_at=NOW)),)), before)
    assert fields["hosts"][0]["startedAt"] == "2026-05-01T12:00:00Z"


def test_long_lists_are_cut_and_counted():
    hosts = tuple(HostInPod(f"pod-{number}", "", host(number)) for number in range(MOST_SHOWN + 10))
    apps = tuple(model_summary({"name": f"a{number}"}) for number in range(MOST_SHOWN + 5))
    _, fields = lattice_status(seen(hosts=hosts, apps=apps), {})
    assert (fields["hostCount"], len(fields["hosts"])) == (MOST_SHOWN + 10, MOST_SHOWN)
    assert (fields["appCount"], len(fields["apps"])) == (MOST_SHOWN + 5, MOST_SHOWN)


def test_applications_have_the_version_that_is_deployed():
    apps = tuple(
        model_summary(entry)
        for entry in (
            {"name": "a", "version": "v2", "deployed_version": "v1", "status": "deployed"},
            {"name": "b", "version": "v1", "status": "undeployed"},
        )
    )
    _, fields = lattice_status(seen(apps=apps), {})
    assert fields["apps"] == [{"name": "a", "phase": "deployed", "version": "v1"}, {"name": "b", "phase": "undeployed"}]


@pytest.mark.parametrize(
    ("state", "wadm", "before", "expected"),
    [
        (UP, True, None, ("True", "Answers")),
        (UP, False, "True", ("False", "NoAnswer")),
        (UP, None, "True", ("True", "Old")),
        (UP, None, None, ("Unknown", "Asking")),
        (CONNECTING, None, "True", ("True", "Old")),
        (down(), False, "True", ("Unknown", "LatticeNotConnected")),
    ],
)
def test_wadm_has_a_condition_of_its_own_that_stands_while_it_is_asked(state, wadm, before, expected):
    old = {"conditions": [{"type": "WadmConnected", "status": before, "reason": "Old"}]} if before else {}
    (_, condition), _ = lattice_status(seen(state, wadm=wadm), old)
    assert (condition.type, condition.status, condition.reason) == ("WadmConnected", *expected)


AVAILABLE = ready("HostsAvailable", "2 of 2 hosts available")
TWO = (("pod-a", host(1)), ("pod-b", host(2)))


def test_a_pool_is_ready_once_its_hosts_are_in_the_lattice():
    found = in_lattice(AVAILABLE, 2, seen(hosts=TWO), {}, 1)
    assert (found[0].status, found[0].message) == ("True", "2 of 2 hosts in lattice blue")
    found = in_lattice(AVAILABLE, 2, seen(hosts=TWO[:1]), {}, 1)
    assert (found[0].status, found[0].message) == ("Unknown", "1 of 2 hosts in lattice blue")


def test_a_lattice_that_was_never_reached_leaves_a_pool_not_ready_and_one_that_was_takes_nothing_away():
    found = in_lattice(AVAILABLE, 2, seen(down()), {}, 1)
    assert (found[0].status, found[1].status, found[0].reason) == ("Unknown", "True", "HostsNotKnown")
    assert "connection refused" in found[0].message
    was = {"type": "Ready", "status": "True", "reason": "HostsInLattice", "message": "m", "observedGeneration": 1}
    assert in_lattice(AVAILABLE, 2, seen(down()), {"conditions": [was]}, 1)[0].status == "True"
    assert in_lattice(AVAILABLE, 2, seen(down()), {"conditions": [was]}, 2)[0].status == "Unknown"


def test_a_pool_without_hosts_is_ready():
    assert in_lattice(AVAILABLE, 0, None, {}, 1) == AVAILABLE


@pytest.mark.parametrize("reason", ["HostsMissing", "HostsNotKnown"])
def test_after_a_start_what_was_found_of_the_hosts_stands_until_something_else_is_known(reason):
    was = {"type": "Ready", "status": "Unknown", "reason": reason, "message": "m", "observedGeneration": 1}
    for state in (None, seen(CONNECTING), seen(UP)):
        found = in_lattice(AVAILABLE, 2, state, {"conditions": [was]}, 1)[0]
        assert (found.status, found.reason, found.message) == ("Unknown", reason, "m")
    assert in_lattice(AVAILABLE, 2, seen(down()), {"conditions": [was]}, 1)[0].reason == "HostsNotKnown"


def test_left_out_inventories_are_counted_in_powers_of_ten_so_that_the_status_stays():
    messages = {}
    for count in (0, 1, 9, 10, 99, 100, 4711):
        (condition, *_), _ = lattice_status(replace(seen(), left_out=count), {})
        messages[count] = condition.message.partition("; ")[2]
    assert messages[0] == ""
    assert messages[1] == messages[9] != messages[10] == messages[99]
    assert "1000 times or more" in messages[4711]


def test_the_labels_and_applications_of_one_host_are_bounded():
    many = {f"k{number:03}": "v" * 1000 for number in range(200)}
    running = {f"c{number}": RunningComponent(f"app-{number:03}") for number in range(200)}
    _, fields = lattice_status(seen(hosts=(HostInPod("pod", "", host(1, labels=many, components=running)),)), {})
    (entry,) = fields["hosts"]
    assert (entry["components"], len(entry["labels"]), len(entry["applications"])) == (200, 16, 20)
    assert max(map(len, entry["labels"].values())) == 256
