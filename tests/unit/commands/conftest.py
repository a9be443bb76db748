"""Fixtures of the tests of commands."""

from __future__ import annotations

import pytest

from wasmcloud_operator.commands.check import check_paths


@pytest.fixture
def check(tmp_path):
    def run(text: str | bytes):
        path = tmp_path / "app.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        result = check_paths([str(path)])
        lines = [str(finding).removeprefix(str(path)) for finding in result.findings]
        return result.exit_code, result.checked, lines

    return run
