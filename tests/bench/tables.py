"""How the benches print what they measured: one table, as wide as what stands in it, and how busy the machine is."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

MEASURED = ("measured", "target")


class Row(NamedTuple):
    what: str
    measured: str
    target: str = ""


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows of a name and a value for each column; values may be left out at the end."""
    table = [(title, *columns), *([*row, *[""] * (1 + len(columns) - len(row))] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    print(f"\nload average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    for name, *values in table:
        print(name.ljust(widths[0]), *(value.rjust(width + 1) for value, width in zip(values, widths[1:], strict=True)))
