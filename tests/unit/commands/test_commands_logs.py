"""Log lines: JSON or readable, and never with the values that a failing function held."""

from __future__ import annotations

import json
import logging

import pytest
import structlog

from wasmcloud_operator import logs


def _fail() -> None:
    password = "hunter2-in-a-local"  # noqa: F841 - it is what must not be shown
    raise RuntimeError("it broke")


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_no_local_variables(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", form)
    try:
        _fail()
    except RuntimeError:
        structlog.get_logger().exception("failed", object="ns/name")
        logging.getLogger("somebody").exception("failed as well")
    written = capsys.readouterr().err
    assert "it broke" in written
    assert "ns/name" in written
    assert "hunter2-in-a-local" not in written.replace('password = "hunter2-in-a-local"', "")


def test_json_lines_have_time_level_and_object(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    structlog.get_logger().info("done", object="ns/name")
    structlog.get_logger().debug("too much")
    (line,) = capsys.readouterr().err.splitlines()
    entry = json.loads(line)
    assert (entry["event"], entry["level"], entry["object"]) == ("done", "info", "ns/name")
    assert entry["timestamp"].endswith("Z")
