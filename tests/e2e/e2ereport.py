"""What the journeys showed, as the table at the end of a run."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Notes:
    """The notable numbers of one journey."""

    lines: list[str]

    def add(self, line: str) -> None:
        self.lines.append(line)


@dataclass
class Report:
    """The lines of the table: title, result, seconds, notes."""

    installed: str = ""
    provider: str = ""
    rows: list[tuple[str, str, float, str]] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The table; empty when no journey was made."""
        if not self.rows:
            return []
        width = max(len(row[0]) for row in self.rows)
        head = [
            f"{title:<{width}}  {result:<7} {seconds:6.1f} s  {noted}" for title, result, seconds, noted in self.rows
        ]
        return [f"on {self.provider}; made in: {self.installed}", *head] if self.provider else head
