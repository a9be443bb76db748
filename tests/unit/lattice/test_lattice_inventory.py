"""The hosts' state machine and the parsers of what hosts say, without a loop."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmcloud_operator.lattice import inventory as transitions
from wasmcloud_operator.lattice.errors import ControlRejected, GarbledAnswer
from wasmcloud_operator.lattice.host_events import (
    ComponentScaled,
    ConfigChanged,
    HostEvent,
    HostSeen,
    HostStarted,
    HostStopped,
    Inventory,
    LabelsChanged,
    ProviderStarted,
    ProviderStopped,
    control_answer,
    parse_event,
    parse_inventory,
    parse_pong,
)
from wasmcloud_operator.lattice.host_types import Instant, InventoryChange, Provider, RunningComponent
from wasmcloud_operator.lattice.inventory import HEARTBEAT_LAG, HOST_BYTES, Hosts, apply, expire, give_up

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> Instant:
    return Instant(1000.0 + seconds, START + timedelta(seconds=seconds))


def provider(name: str, application: str = "shop") -> Provider:
    return Provider(name, "http-server:1", MappingProxyType({"wasmcloud.dev/appspec": application}))


def inventory(host: str = "h", *providers: Provider, uptime: int | None = None, **about: Any) -> Inventory:
    return Inventory(
        HostSeen(host, uptime=uptime, **about), {}, MappingProxyType({entry.id: entry for entry in providers})
    )


def after(*events: tuple[float, HostEvent]) -> Hosts:
    hosts = Hosts()
    for seconds, event in events:
        hosts = apply(hosts, event, at(seconds)).hosts
    return hosts


def test_a_provider_event_shows_its_host_and_application_at_once() -> None:
    hosts = after((0, inventory()))
    started = apply(hosts, ProviderStarted("h", provider("p")), at(10))
    assert started.change == InventoryChange(hosts=frozenset({"h"}), applications=frozenset({"shop"}))
    assert not started.ask
    stopped = apply(started.hosts, ProviderStopped("h", "p"), at(11))
    assert stopped.change == started.change
    assert stopped.hosts.alive["h"].providers == {}


def test_being_seen_again_is_no_change() -> None:
    hosts = after((0, inventory("h", provider("p"), uptime=100)))
    again = apply(hosts, inventory("h", provider("p"), uptime=130), at(30))
    assert not again.change
    assert again.hosts.alive["h"].last_seen == at(30).monotonic


def test_started_at_stays_while_within_five_seconds_and_moves_after_a_restart() -> None:
    hosts = after((0, inventory(uptime=100)))
    first = hosts.alive["h"].started_at
    assert first == START - timedelta(seconds=100)
    for seconds, uptime in ((30, 134), (60, 156), (90, 190)):
        hosts = apply(hosts, inventory(uptime=uptime), at(seconds)).hosts
        assert hosts.alive["h"].started_at == first
    restarted = apply(hosts, inventory(uptime=1), at(120))
    assert restarted.hosts.alive["h"].started_at == START + timedelta(seconds=119)
    assert restarted.change.hosts == {"h"}


def test_a_heartbeat_made_before_a_provider_event_does_not_undo_it() -> None:
    hosts = after((0, inventory()), (10, ProviderStarted("h", provider("p"))))
    stale = apply(hosts, inventory("h"), at(10.5))
    assert stale.hosts.alive["h"].providers.keys() == {"p"}
    assert stale.ask == {"h"}, "in doubt the host is asked"
    hosts = after((0, inventory("h", provider("p"))), (10, ProviderStopped("h", "p")))
    stale = apply(hosts, inventory("h", provider("p")), at(10.5))
    assert stale.hosts.alive["h"].providers == {}
    assert stale.ask == {"h"}


def test_an_inventory_asked_for_later_is_the_truth() -> None:
    hosts = after((0, inventory()), (10, ProviderStarted("h", provider("p"))))
    asked = apply(hosts, inventory("h"), at(10.2), as_of=at(10.1).monotonic)
    assert asked.hosts.alive["h"].providers == {}
    assert asked.change.applications == {"shop"}
    assert not asked.ask
    later_heartbeat = apply(hosts, inventory("h"), at(10 + HEARTBEAT_LAG + 0.1))
    assert later_heartbeat.hosts.alive["h"].providers == {}


def test_an_inventory_from_before_the_stop_does_not_raise_the_dead() -> None:
    hosts = after((0, inventory()), (10, HostStopped("h")))
    assert hosts.alive == {}
    late = apply(hosts, inventory("h", provider("p")), at(10.5), as_of=at(9.9).monotonic)
    assert late.hosts == hosts
    assert not late.change
    assert apply(hosts, ProviderStarted("h", provider("p")), at(10.5)).hosts.alive == {}
    back = apply(hosts, HostStarted(HostSeen("h", uptime=0)), at(11))
    assert back.hosts.alive.keys() == {"h"}
    assert back.ask == {"h"}
    assert apply(hosts, inventory("h"), at(40)).hosts.alive.keys() == {"h"}, "a beat much later means it lives"


def test_a_host_that_leaves_or_changes_its_labels_concerns_all_its_applications() -> None:
    hosts = after((0, inventory("h", provider("p", "a"), provider("q", "b"), labels={"pod": "1"})))
    assert apply(hosts, HostStopped("h"), at(1)).change.applications == {"a", "b"}
    assert apply(hosts, LabelsChanged("h", {"pod": "2"}), at(1)).change.applications == {"a", "b"}
    assert not apply(hosts, LabelsChanged("h", {"pod": "1"}), at(1)).change
    silent = expire(hosts, at(100), silent_for=75, listening_since=at(0).monotonic)
    assert silent.change == InventoryChange(
        hosts=frozenset({"h"}), applications=frozenset({"a", "b"}), silent={"h": hosts.alive["h"]}
    )
    assert give_up(hosts, "h") == silent
    assert not give_up(silent.hosts, "h").change
    assert silent.hosts.alive == {}


def test_silence_counts_only_while_somebody_listens() -> None:
    hosts = after((0, inventory()))
    assert expire(hosts, at(75), silent_for=75, listening_since=at(0).monotonic).hosts is hosts
    assert expire(hosts, at(1000), silent_for=75, listening_since=at(950).monotonic).hosts is hosts
    assert expire(hosts, at(1000), silent_for=75, listening_since=at(900).monotonic).hosts.alive == {}


def test_a_host_that_is_silent_for_long_is_asked_before_it_is_given_up() -> None:
    hosts = after((0, inventory("h")), (0, inventory("i")), (40, inventory("i")))
    began = at(0).monotonic
    assert not expire(hosts, at(45), silent_for=75, listening_since=began).ask
    late = expire(hosts, at(50), silent_for=75, listening_since=began)
    assert (late.ask, late.hosts) == ({"h"}, hosts)
    answered = apply(hosts, inventory("h"), at(50.1), as_of=at(50).monotonic).hosts
    later = expire(answered, at(100), silent_for=75, listening_since=began)
    assert later.hosts.alive.keys() == {"h", "i"}
    assert later.ask == {"h", "i"}


def test_hosts_that_are_only_heard_of_are_asked() -> None:
    for event in (
        HostSeen("h"),
        ProviderStarted("h", provider("p")),
        ComponentScaled("h", "c", RunningComponent("shop", 1)),
    ):
        assert apply(Hosts(), event, at(0)).ask == {"h"}
    known = after((0, inventory()))
    assert not apply(known, HostSeen("h"), at(1)).ask
    assert apply(known, ComponentScaled("h", "c", RunningComponent("shop", 1)), at(1)).hosts.alive["h"].components == {
        "c": RunningComponent("shop", 1)
    }
    assert apply(known, ComponentScaled("h", "c", None), at(1)).ask == {"h"}


def test_a_config_concerns_no_host() -> None:
    step = apply(Hosts(), ConfigChanged("c"), at(0))
    assert step.hosts == Hosts()
    assert step.change == InventoryChange(configs=frozenset({"c"}))


HOST_IDS = st.sampled_from(["h", "i"])
PROVIDERS = st.sampled_from([provider("p"), provider("q", "other"), provider("r", "")])
EVENTS = st.one_of(
    st.builds(ProviderStarted, HOST_IDS, PROVIDERS),
    st.builds(ProviderStopped, HOST_IDS, st.sampled_from(["p", "q", "r"])),
    st.builds(lambda host, found: inventory(host, *found), HOST_IDS, st.lists(PROVIDERS, max_size=3)),
    st.builds(HostStopped, HOST_IDS),
    st.builds(lambda host: HostStarted(HostSeen(host, uptime=0)), HOST_IDS),
    st.builds(LabelsChanged, HOST_IDS, st.sampled_from([{}, {"pod": "1"}])),
)


@given(st.lists(st.tuples(st.floats(0.0, 20.0), EVENTS), max_size=30))
def test_changes_name_exactly_what_moved_and_an_asked_inventory_ends_all_doubt(
    steps: list[tuple[float, HostEvent]],
) -> None:
    hosts, now = Hosts(), 0.0
    for wait, event in steps:
        now += wait
        step = apply(hosts, event, at(now))
        for host_id in ("h", "i"):
            before, then = hosts.alive.get(host_id), step.hosts.alive.get(host_id)
            moved = {
                entry.application
                for one, other in ((before, then), (then, before))
                for entry in (one.providers.values() if one else ())
                if other is None or other.providers.get(entry.id) != entry or other.labels != one.labels
            } - {""}
            assert moved <= step.change.applications
            if moved or (before is None) != (then is None):
                assert host_id in step.change.hosts
        assert step.ask <= step.hosts.alive.keys()
        hosts = step.hosts
    for host_id in hosts.alive:
        truth = inventory(host_id, provider("p"))
        asked = apply(hosts, truth, at(now + 1.1), as_of=at(now + 1.0).monotonic)
        assert asked.hosts.alive[host_id].providers == truth.providers
        assert not asked.ask


def event(kind: str, data: Any, source: str = "h") -> bytes:
    return json.dumps({"type": f"com.wasmcloud.lattice.{kind}", "source": source, "data": data}).encode()


@pytest.mark.parametrize("instances", [None, "3", True, 0, -1, 2**31, 1.5])
def test_a_number_of_instances_that_is_none_counts_as_one(instances: Any) -> None:
    body = {"providers": [], "components": [{"id": "c", "max_instances": instances, "annotations": "x"}]}
    heard = parse_event(event("host_heartbeat", body))
    assert isinstance(heard, Inventory)
    assert heard.components == {"c": RunningComponent("", 1)}


def test_events_as_hosts_publish_them() -> None:
    beat = {
        "components": [
            {
                "id": "c",
                "image_ref": "i",
                "revision": 0,
                "max_instances": 3,
                "annotations": {"wasmcloud.dev/appspec": "shop"},
            }
        ],
        "providers": [{"id": "p", "image_ref": "i", "revision": 0, "annotations": {"wasmcloud.dev/appspec": "shop"}}],
        "host_id": "h",
        "friendly_name": "f",
        "labels": {"a": "b"},
        "version": "1.9.0",
        "uptime_human": "3s",
        "uptime_seconds": 3,
    }
    heard = parse_event(event("host_heartbeat", beat))
    assert isinstance(heard, Inventory)
    assert heard.seen == HostSeen("h", "f", {"a": "b"}, "1.9.0", 3)
    assert (heard.components, heard.providers["p"].application) == ({"c": RunningComponent("shop", 3)}, "shop")
    assert parse_event(event("host_stopped", {"labels": {}})) == HostStopped("h")
    started = {"host_id": "h", "image_ref": "i", "provider_id": "p", "annotations": {}}
    assert parse_event(event("provider_started", started)) == ProviderStarted("h", Provider("p", "i"))
    assert parse_event(event("provider_stopped", {"public_key": "p"})) == ProviderStopped("h", "p")
    assert parse_event(event("config_set", {"config_name": "x"})) == ConfigChanged("x")
    assert parse_event(event("linkdef_set", {})) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b"{}",
        b"[" * 100_000,
        event("host_heartbeat", None),
        event("provider_started", {}),
        event("provider_started", {"provider_id": 5}),
        event("component_scaled", {"component_id": "c", "max_instances": "many"}),
        event("host_stopped", {}, source=""),
        event("config_set", {"config_name": []}),
    ],
)
def test_garbled_events_are_dropped(data: bytes) -> None:
    assert parse_event(data) is None


def test_a_garbled_inventory_only_says_that_the_host_lives() -> None:
    assert parse_event(event("host_heartbeat", {"providers": {}})) == HostSeen("h")
    heard = parse_event(event("host_heartbeat", {"providers": [7, {}, {"id": "p", "annotations": [1]}], "labels": []}))
    assert isinstance(heard, Inventory)
    assert heard.providers == {"p": Provider("p")}
    assert heard.seen.labels is None
    huge = parse_event(event("host_heartbeat", {"providers": [{"id": str(number)} for number in range(6000)]}))
    assert isinstance(huge, Inventory)
    assert len(huge.providers) == 5000
    for uptime in (-1, 10**30, "3", True, None, 1.5):
        seen = parse_event(event("host_started", {"uptime_seconds": uptime}))
        assert isinstance(seen, HostStarted)
        apply(Hosts(), seen, at(0))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["host_id", "providers", "components", "labels", "id", "annotations", "uptime_seconds", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(
    st.sampled_from(["host_heartbeat", "host_started", "provider_started", "component_scaled", "labels_changed"]),
    json_values,
    st.text(max_size=3),
)
def test_nothing_a_host_says_breaks_the_machine(kind: str, data: Any, source: str) -> None:
    heard = parse_event(event(kind, data, source))
    if heard is not None:
        apply(Hosts(), heard, at(0))


def test_answers_of_the_control_interface() -> None:
    assert control_answer(b'{"success": true, "message": ""}') is None
    assert control_answer(b'{"success": true, "message": "", "response": {"a": "b"}}') == {"a": "b"}
    with pytest.raises(ControlRejected, match="no; really"):
        control_answer(b'{"success": false, "message": "no\\nreally"}')
    for garbage in (b"", b"[]", b"{}", b'{"success": "yes"}'):
        with pytest.raises(GarbledAnswer):
            control_answer(garbage)
        assert parse_pong(garbage) is None
    body = {"host_id": "other", "providers": [], "components": []}
    with pytest.raises(GarbledAnswer, match="host h"):
        parse_inventory("h", json.dumps({"success": True, "message": "", "response": body}).encode())
    pong = {"id": "h", "friendly_name": "f", "uptime_seconds": 1, "labels": {}, "lattice": "default"}
    answer = json.dumps({"success": True, "message": "", "response": pong}).encode()
    assert parse_pong(answer) == HostSeen("h", "f", {}, None, 1)


def large(host_id, pod="", components=700):
    """A heartbeat of about 200 KiB, as it is kept."""
    seen = HostSeen(host_id, labels=MappingProxyType({"pod": pod}))
    return Inventory(seen, {f"{number:0100}": RunningComponent() for number in range(components)}, MappingProxyType({}))


def pod_of(host):
    """Two pods are ours."""
    named = host.labels.get("pod", "")
    return named if named in ("pod-a", "pod-b") else ""


def two_mebibytes(_wanted):
    return 2 * 1024 * 1024


def beat(hosts, host_id, pod, seconds):
    return apply(hosts, large(host_id, pod, components=1), at(seconds)).hosts


class TestLimits:
    def test_made_up_hosts_take_a_bounded_amount_and_what_is_left_out_is_counted(self):
        hosts = Hosts(limit=two_mebibytes)
        for number in range(100):
            hosts = apply(hosts, large(f"N{number}"), at(number)).hosts
        assert hosts.size == sum(host.size for host in hosts.alive.values()) <= 2 * 1024 * 1024
        assert hosts.left_out == 100 - len(hosts.alive) > 80

    def test_a_host_of_ours_comes_in_all_the_same(self):
        hosts = Hosts(pod_of=pod_of, limit=two_mebibytes)
        for number in range(20):
            hosts = apply(hosts, large(f"N{number}"), at(number)).hosts
        step = apply(hosts, large("OURS", pod="pod-a"), at(30))
        assert "OURS" in step.hosts.alive
        assert step.hosts.size == sum(host.size for host in step.hosts.alive.values()) <= 2 * 1024 * 1024
        (gone,) = hosts.alive.keys() - step.hosts.alive.keys()
        assert step.change.hosts == {"OURS", gone}
        assert "STRANGER" not in apply(step.hosts, large("STRANGER"), at(31)).hosts.alive

    @pytest.mark.parametrize("limit", ["places", "bytes"])
    def test_made_up_hosts_in_a_pod_keep_out_neither_its_own_host_nor_another_pods(self, monkeypatch, limit):
        size = beat(Hosts(), "A", "pod-a", 0).size
        monkeypatch.setattr(transitions, "HOST_LIMIT", 10 if limit == "places" else 1000)
        hosts = beat(Hosts(pod_of=pod_of, limit=lambda _: 10 * size + 9), "A", "pod-a", 0)
        for number in range(30):
            hosts = beat(hosts, f"N{number}", "pod-a", 1)
        assert "A" in hosts.alive, "the host that is known longest"
        hosts = beat(hosts, "B", "pod-b", 2)
        hosts = beat(hosts, "B-restarted", "pod-b", 2)
        for number in range(30, 60):
            hosts = beat(hosts, f"N{number}", "pod-a", 3)
        assert {"A", "B", "B-restarted"} <= hosts.alive.keys()
        assert len(hosts.alive) <= 10
        hosts = beat(hosts, "A-restarted", "pod-a", 4)
        hosts = beat(hosts, "N0", "pod-a", 5)
        assert "A-restarted" in hosts.alive, "the next one takes the place of one that was silent for longer"

    def test_a_second_host_of_a_pod_takes_no_place_of_the_only_one_of_another(self, monkeypatch):
        monkeypatch.setattr(transitions, "HOST_LIMIT", 2)
        hosts = beat(beat(Hosts(pod_of=pod_of), "A", "pod-a", 0), "B", "pod-b", 0)
        assert beat(hosts, "N", "pod-a", 1).alive.keys() == {"A", "B"}

    def test_no_more_hosts_than_the_limit_however_they_come(self, monkeypatch):
        monkeypatch.setattr(transitions, "HOST_LIMIT", 10)
        hosts = Hosts()
        for number in range(30):
            for event in (HostStarted(HostSeen(f"S{number}")), ComponentScaled(f"C{number}", "c", RunningComponent())):
                hosts = apply(hosts, event, at(number)).hosts
        assert len(hosts.alive) == 10
        assert hosts.left_out == 50

    def test_of_a_host_that_says_too_much_only_that_it_lives_is_kept(self):
        hosts = apply(Hosts(), large("N", components=5000), at(0)).hosts
        assert hosts.alive["N"].components == {}
        assert hosts.alive["N"].size <= HOST_BYTES
        assert hosts.left_out == 1

    def test_a_host_with_five_hundred_providers_of_wadm_is_kept_whole(self):
        about = {"wasmcloud.dev/appspec": "app-000"}
        found = {f"app_{number}-httpserver": about for number in range(500)}
        providers = {
            name: Provider(name, "ghcr.io/wasmcloud/http-server:0.27.0", about) for name, about in found.items()
        }
        hosts = apply(Hosts(), Inventory(HostSeen("N"), {}, providers), at(0)).hosts
        assert hosts.alive["N"].providers == providers
        assert hosts.left_out == 0

    def test_where_all_lattices_have_too_much_known_hosts_and_those_in_pods_stay_and_strangers_do_not_come(self):
        hosts = Hosts(pod_of=pod_of)
        for number in range(10):
            hosts = apply(hosts, large(f"N{number}"), at(0)).hosts
        room_for_seven = hosts.size * 7 // 10
        hosts = replace(hosts, limit=lambda _: room_for_seven)
        for number in range(5):
            hosts = apply(hosts, large(f"N{number}"), at(30)).hosts
        assert hosts.alive["N0"].last_seen == at(30).monotonic
        assert "STRANGER" not in apply(hosts, large("STRANGER"), at(30)).hosts.alive
        hosts = apply(hosts, large("OURS", pod="pod-a"), at(30)).hosts
        assert "OURS" in hosts.alive
        assert hosts.alive.keys() == {"OURS", "N0", "N1", "N2", "N3", "N4"}, "who was silent for longest has made room"
        hosts = apply(replace(hosts, limit=lambda _: 0), large("ALSO", pod="pod-b"), at(31)).hosts
        assert hosts.alive.keys() == {"OURS", "ALSO"}

    def test_a_host_that_goes_makes_room(self):
        hosts = apply(Hosts(), large("N"), at(0)).hosts
        assert apply(hosts, HostStopped("N"), at(1)).hosts.size == 0
        assert expire(hosts, at(1000), silent_for=75, listening_since=0).hosts.size == 0
        assert give_up(hosts, "N").hosts.size == 0
