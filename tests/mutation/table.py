"""The survivors that are explained: the tables of docs/mutation.md, one row each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

TABLE = Path(__file__).parents[2] / "docs" / "mutation.md"
_ROW = re.compile(
    r"^\| `(?P<where>[^`]+)` \| `` (?P<before>.*?) `` \| `` (?P<after>.*?) `` \| (?P<why>.+) \|$", re.MULTILINE
)


class Mutant(NamedTuple):
    """A change of a function: the lines before and after it, joined."""

    module: str
    function: str
    before: str
    after: str

    def __str__(self) -> str:
        """As a row of the table without its reason."""
        before, after = (text.replace("|", "\\|") for text in (self.before, self.after))
        return f"| `{self.module}:{self.function}` | `` {before} `` | `` {after} `` |"


def explained() -> set[Mutant]:
    """Returns the survivors that have a row."""
    found = set()
    for row in _ROW.finditer(TABLE.read_text(encoding="utf-8")):
        module, _, function = row["where"].partition(":")
        before, after = (row[name].replace("\\|", "|") for name in ("before", "after"))
        found.add(Mutant(module, function, before, after))
    return found
