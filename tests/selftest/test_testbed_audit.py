from __future__ import annotations

import json
from pathlib import Path

from testbed.audit import AuditLog


def line(verb: str, resource: str, *, stage: str = "ResponseComplete", agent: str = "op/1", **ref: str) -> str:
    event = {
        "verb": verb,
        "stage": stage,
        "user": {"username": "alice"},
        "userAgent": agent,
        "requestURI": f"/{resource}",
        "requestReceivedTimestamp": "2026-01-01T00:00:00.000000Z",
        "objectRef": {"resource": resource, "namespace": "ns", "name": "n", **ref},
        "responseStatus": {"code": 200},
    }
    return json.dumps(event) + "\n"


def test_counts_what_one_program_wrote_in_a_block(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.log")
    assert log.end == 0
    assert log.events() == []
    log.path.write_text(line("create", "pods"))
    with log.counting(user_agent="op/") as counter, log.path.open("a") as out:
        out.write(line("patch", "deployments", apiGroup="apps"))
        out.write(line("patch", "deployments", apiGroup="apps", subresource="status"))
        out.write(line("get", "secrets"))
        out.write(line("delete", "pods", agent="kubectl/1"))
        out.flush()
    with log.path.open("a") as out:
        out.write(line("create", "pods"))
    assert counter.by_verb_and_resource() == {
        ("patch", "deployments.apps"): 1,
        ("patch", "deployments.apps/status"): 1,
        ("get", "secrets"): 1,
    }
    assert [event.resource for event in counter.writes] == ["deployments.apps", "deployments.apps/status"]
    assert len(log.events()) == 6


def test_a_watch_counts_once_when_it_starts(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.log")
    log.path.write_text(line("watch", "pods", stage="ResponseStarted") + line("watch", "pods"))
    assert [event.verb for event in log.events()] == ["watch"]


def test_a_line_still_being_written_is_left_for_later(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.log")
    whole, half = line("create", "pods"), line("update", "pods")
    log.path.write_text(whole + half[:20])
    assert [event.verb for event in log.events()] == ["create"]
    log.path.write_text(whole + half)
    assert [event.verb for event in log.events(len(whole))] == ["update"]


def test_a_line_belongs_to_where_it_begins(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.log")
    first, second, third = line("create", "pods"), line("update", "pods"), line("delete", "pods")
    log.path.write_text(first + second + third)
    amid, behind = len(first) + 20, len(first) + len(second)
    assert [event.verb for event in log.events(until=amid)] == ["create", "update"]
    assert [event.verb for event in log.events(amid)] == ["delete"]
    assert log.events(amid, amid + 1) == []
    assert [event.verb for event in log.events(len(first), behind)] == ["update"]
