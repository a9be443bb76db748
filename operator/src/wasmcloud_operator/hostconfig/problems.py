"""What keeps a host pool from being what its spec asks for, in words that a user can act on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend: a CamelCase reason, the JSON path in the config (empty: somewhere else), and a sentence."""

    reason: str
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class SpecError(Exception):
    """The spec cannot be rendered; only its author can mend it."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


class SecretsError(SpecError):
    """What the spec refers to is missing or cannot be used: a change of it is seen, and may mend it."""
