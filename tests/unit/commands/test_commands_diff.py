"""What `diff` prints of two states of an object."""

from __future__ import annotations

from typing import Any

from wasmcloud_operator.commands.diff import lines_between


def application(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "shop", "namespace": "team"}, "spec": spec}


def test_changed_fields_are_a_unified_diff() -> None:
    lines = lines_between(application(level="info"), application(level="debug"))
    assert lines[:2] == ("--- live", "+++ applied")
    assert lines[-2:] == ("-  level: info", "+  level: debug")
    assert lines_between(application(level="info"), application(level="info")) == ()


def test_a_change_of_a_secret_alone_is_a_change_that_does_not_show_it() -> None:
    lines = lines_between(application(password="canary"), application(password="other"))
    assert lines == ("~ only what is blacked out changes",)


def test_an_object_that_is_not_there_yet_is_added_whole_without_its_secrets() -> None:
    lines = lines_between(None, application(password="canary"))
    assert "+  name: shop" in lines
    assert "canary" not in "\n".join(lines)
