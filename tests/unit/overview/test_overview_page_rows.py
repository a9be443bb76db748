"""The rows of the page, from objects as the API server has them."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec.structs import replace

from support.objects.overview import FINE, WAITING, app, pod, pool, status
from wasmcloud_operator.commands.overview.snapshot import Snapshot
from wasmcloud_operator.commands.page.rows import rows
from wasmcloud_operator.commands.page.server import causes_of

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
READY = [{"type": "Ready", "status": "True"}]


def test_hosts_are_the_pods_and_those_of_the_status_whose_pods_cannot_be_read() -> None:
    hosts = [{"id": "N1", "pod": "a", "friendlyName": "quiet", "components": 2, "providers": 1,
              "labels": {"zone": "b"}},
             {"id": "N2", "pod": "hidden", "node": "n9"}]  # fmt: skip
    edge = replace(pool(FINE), status=status(FINE, hosts=hosts, hostCount=2))
    found = rows(Snapshot(pools=(edge,), pods=(pod("a", conditions=READY), pod("b"), pod("c", "other"))), NOW)
    shown = {key: (row["name"], row["fine"]) for key, row in found.items() if row["kind"] == "host"}
    assert shown == {
        "host/team-a/a": ("quiet", True),
        "host/team-a/b": ("b", False),
        "host/team-a/hidden": ("hidden", True),
    }
    assert (found["host/team-a/a"]["components"], found["host/team-a/a"]["labels"]) == (2, {"zone": "b"})
    assert found["host/team-a/hidden"]["node"] == "n9"


def test_links_are_read_as_every_wadm_writes_them_and_spoilt_ones_do_no_harm() -> None:
    def link(target: object) -> object:
        return {"type": "link", "properties": {"target": target, "namespace": "wasi", "package": "http",
                                               "interfaces": ["incoming-handler"]}}  # fmt: skip

    traits = [link({"name": "web"}), link("old"), link(None), {"type": "link"}, 7]
    spec = {"components": [{"name": "http", "type": "capability", "traits": traits}, 7, {"properties": []}]}
    found = rows(Snapshot(applications=(app(FINE, spec),)), NOW)["application/team-a/shop"]
    assert [(one["from"], one["to"]) for one in found["links"]] == [
        ("http", "web"),
        ("http", "old"),
        ("http", ""),
        ("http", ""),
    ]
    assert found["links"][0]["label"] == "wasi:http/incoming-handler"
    assert [one["name"] for one in found["components"]] == ["http", ""]


def test_only_what_changed_in_the_last_minutes_is_recent_the_newest_first() -> None:
    times = {"Ready": "2026-05-01T11:58:00Z", "Synced": "2026-05-01T11:59:00Z", "Exposed": "2026-05-01T11:00:00Z",
             "Stalled": "2026-05-01T11:59:30Z", "Paused": "soon"}  # fmt: skip
    conditions = [
        {"type": kind, "status": "True", "reason": kind, "lastTransitionTime": at} for kind, at in times.items()
    ]
    shop = replace(app(WAITING), status={"conditions": conditions})
    gone = [{"at": "2026-05-01T11:59:59Z", "of": "pool/team-a/old", "text": "deleted"}]
    entries = rows(Snapshot(applications=(shop,)), NOW, gone)["recent"]["entries"]
    assert [entry["text"] for entry in entries] == ["deleted", "Synced is True: Synced", "Ready is True: Ready"]


def test_causes_are_those_of_the_object_that_is_asked_for() -> None:
    seen = Snapshot(pools=(pool(FINE),), applications=(app(WAITING),))
    assert causes_of(seen, "pool", "team-a", "edge") == []
    assert causes_of(seen, "application", "team-a", "shop")
    assert causes_of(seen, "service", "team-a", "shop")
    assert causes_of(seen, "pool", "team-b", "edge") is None
    assert causes_of(seen, "node", "team-a", "edge") is None
