"""Where tables and trees are drawn: plain lines where a script reads them, with colours at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Protocol

import click

from wasmcloud_operator.commands.overview.tables import Branch, Table


class Drawing(Protocol):
    """Where tables and trees are drawn."""

    def tables(self, tables: Sequence[Table], notes: Sequence[str]) -> None:
        """Draws the tables that have rows, and the notes below."""

    def tree(self, branch: Branch) -> None:
        """Draws a tree."""


class Plain:
    """Lines of text: the same for everybody, whatever the width."""

    def tables(self, tables: Sequence[Table], notes: Sequence[str]) -> None:
        """Prints the tables that have rows, and the notes below."""
        blocks = [lines for lines in (*(table.lines() for table in tables), list(notes)) if lines]
        click.echo("\n\n".join("\n".join(lines) for lines in blocks))

    def tree(self, branch: Branch) -> None:
        """Prints a tree."""
        click.echo("\n".join(branch.lines()))


def on_stdout() -> Drawing:
    """Returns what draws on standard output: with colours at a terminal, where the extra `terminal` is installed."""
    if not sys.stdout.isatty():
        return Plain()
    try:
        # Imported late: rich takes longer than a fifth of the command's start.
        from wasmcloud_operator.commands.overview.coloured import Coloured  # noqa: PLC0415
    except ImportError:
        return Plain()
    return Coloured()
