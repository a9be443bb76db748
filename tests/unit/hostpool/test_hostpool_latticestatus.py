"""What a status says of a lattice: nothing flaps, nothing is lost while nothing newer is known, lists are bounded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from wasmcloud_operator.hostpool.lattice_status import CONNECTED, MOST_SHOWN, Seen, lattice_status
from wasmcloud_operator.lattice.connection_types import ConnectionState
from wasmcloud_operator.lattice.host_types import Host, Provider
from wasmcloud_operator.lattice.wadm_types import model_summary

NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
UP = ConnectionState(True, "Connected", "connected to nats://h:4222", NOW)
CONNECTING = ConnectionState(False, "Connecting", "the first attempt is under way", NOW)


def down(reason="Unreachable", message="nats://h:4222: connection refused"):
    return ConnectionState(False, reason, message, NOW)


def seen(state=UP, hosts=None, apps=None):
    return Seen("blue", ("nats://h:4222",), state, hosts, apps)


def standing(status, reason, message):
    return {"conditions": [{"type": CONNECTED, "status": status, "reason": reason, "message": message}]}


def host(number, **about):
    return Host(f"N{number}", 0.0, **about)


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
    condition, _ = lattice_status(seen(state), before)
    assert (condition.status, condition.reason, condition.message) == expected


def test_what_is_not_known_stands_as_it_is():
    before = {"hostCount": 1, "hosts": [{"id": "N1"}], "appCount": 2, "apps": [{"name": "a"}], "replicas": 3}
    _, fields = lattice_status(seen(down()), before)
    assert fields == {name: before[name] for name in ("hostCount", "hosts", "appCount", "apps")}


def test_hosts_are_told_with_their_pods():
    provider = Provider("p", "http-server:1")
    full = host(1, friendly_name="quiet-1", version="1.9.0", started_at=NOW, components=frozenset({"a", "b"}),
                providers={"p": provider})  # fmt: skip
    _, fields = lattice_status(seen(hosts=(("pod-a", full), ("pod-b", host(2)))), {"hostCount": 7, "hosts": []})
    assert fields == {
        "hostCount": 2,
        "hosts": [
            {"id": "N1", "pod": "pod-a", "friendlyName": "quiet-1", "version": "1.9.0",
             "startedAt": "2026-05-01T12:00:00Z", "components": 2, "providers": 1},
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
    _, fields = lattice_status(seen(hosts=(("pod", now),)), before)
    assert fields["hosts"][0]["startedAt"] == shown


@pytest.mark.parametrize("stored", ["yesterday", "2026-05-01T12:00:00", None])
def test_a_start_that_is_no_time_is_replaced(stored):
    before = {"hosts": [{"id": "N1", "startedAt": stored}]}
    _, fields = lattice_status(seen(hosts=(("pod", host(1, started_at=NOW)),)), before)
    assert fields["hosts"][0]["startedAt"] == "2026-05-01T12:00:00Z"


def test_long_lists_are_cut_and_counted():
    hosts = tuple((f"pod-{number}", host(number)) for number in range(MOST_SHOWN + 10))
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
