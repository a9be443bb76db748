"""What a journey wants to say in the final table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Notes:
    """The notable numbers of one journey."""

    lines: list[str]

    def add(self, line: str) -> None:
        self.lines.append(line)
