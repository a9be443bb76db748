"""Tables and trees to be shown, and as plain lines: the same for everybody, whatever the width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wasmcloud_operator.base.printable import printable

_MESSAGE_WIDTH = 60


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table; its last cell may be long where the table allows that. `fine`: None without a judgement."""

    cells: tuple[str, ...]
    fine: bool | None

    def __post_init__(self) -> None:
        """A name or a message is no command to a terminal, and no line of its own."""
        object.__setattr__(self, "cells", tuple(map(printable, self.cells)))


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a header. `state` is the column that `fine` is about; `cut`: the last one is cut in plain lines."""

    header: tuple[str, ...]
    rows: tuple[Row, ...]
    state: int
    cut: bool = False

    def lines(self) -> list[str]:
        """Returns the table as aligned lines; none where it has no rows."""
        if not self.rows:
            return []
        body = [(*row.cells[:-1], _cut(row.cells[-1]) if self.cut else row.cells[-1]) for row in self.rows]
        widths = [max(len(row[column]) for row in (self.header, *body)) for column in range(len(self.header))]
        return [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in (self.header, *body)
        ]


@dataclass(frozen=True, slots=True)
class Branch:
    """One line of a tree and what hangs below it. `fine`: None where nothing is known or there is nothing to judge."""

    text: str
    below: tuple[Branch, ...] = ()
    fine: bool | None = None

    def __post_init__(self) -> None:
        """As for a row."""
        object.__setattr__(self, "text", printable(self.text))

    def lines(self) -> Iterator[str]:
        """Yields the tree as text, with lines that show what hangs where."""
        yield self.text
        for position, branch in enumerate(self.below):
            last = position == len(self.below) - 1
            head, rest = ("└─ ", "   ") if last else ("├─ ", "│  ")
            first, *others = branch.lines()
            yield head + first
            yield from (rest + line for line in others)


def _cut(text: str) -> str:
    return text if len(text) <= _MESSAGE_WIDTH else f"{text[: _MESSAGE_WIDTH - 1]}…"


def some(names: Sequence[str], most: int) -> str:
    """Returns the first names in one text, and how many more there are."""
    shown = ", ".join(names[:most]) or "none"
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
