"""Test files have names of their own, as pytest imports them by these, and tests names that state the behaviour."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path


def test_no_two_test_files_have_one_name() -> None:
    names = Counter(file.name for file in Path(__file__).parents[1].rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_names_of_tests_state_the_behaviour() -> None:
    files = Path(__file__).parents[1].rglob("test_*.py")
    riddles = {
        f"{file.name}: {name}" for file in files for name in re.findall(r"def (test_what_\w+)", file.read_text())
    }
    assert riddles == set()
