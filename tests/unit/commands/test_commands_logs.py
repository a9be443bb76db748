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


@pytest.mark.parametrize("form", ["json", "console"])
def test_text_of_others_is_neither_a_command_to_a_terminal_nor_a_line(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = "\x1b]0;title\x07gone\n1999-01-01 [info] made up\u2028\ud800"
    logs.configure("info", form)
    structlog.get_logger().warning("reconcile failed", error=theirs)
    logging.getLogger("somebody").warning("from %s", theirs)
    try:
        raise RuntimeError(theirs)
    except RuntimeError:
        structlog.get_logger().exception("failed", object="ns/name")
    lines = capsys.readouterr().err.split("\n")
    assert [line for line in lines if not line.isprintable()] == []
    assert len([line for line in lines if "[info] made up" in line]) == 3
    assert [line for line in lines if line.startswith("1999-01-01")] == []
