"""Tables and trees at a terminal, by rich: green is fine, red is not, and long cells are wrapped to the width."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text
from rich.tree import Tree

from wasmcloud_operator.commands.overview.tables import Branch, Table

_STYLES = {True: "green", False: "red", None: ""}


class Coloured:
    """Draws on standard output, which is a terminal. rich honours NO_COLOR and terminals that know no colours."""

    def __init__(self) -> None:
        # Nothing in a name or a message is markup, an emoji or a number to paint.
        self._console = Console(highlight=False, markup=False, emoji=False)

    def tables(self, tables: Sequence[Table], notes: Sequence[str]) -> None:
        """Draws the tables that have rows, and the notes below."""
        blocks = [*(_table(table) for table in tables if table.rows), *(["\n".join(notes)] if notes else [])]
        for number, block in enumerate(blocks):
            self._console.print(*([""] if number else []), block, sep="\n")

    def tree(self, branch: Branch) -> None:
        """Draws a tree."""
        drawn = Tree(_label(branch), guide_style="dim")
        _grow(drawn, branch)
        self._console.print(drawn)


def _table(table: Table) -> RichTable:
    drawn = RichTable(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for number, name in enumerate(table.header):
        last = number == len(table.header) - 1
        drawn.add_column(name, overflow="fold", ratio=1 if last else None)
    for row in table.rows:
        cells = [Text(cell) for cell in row.cells]
        cells[table.state].stylize(_STYLES[row.fine])
        drawn.add_row(*cells)
    return drawn


def _grow(drawn: Tree, branch: Branch) -> None:
    for below in branch.below:
        _grow(drawn.add(_label(below)), below)


def _label(branch: Branch) -> Text:
    return Text(branch.text, style=_STYLES[branch.fine])
