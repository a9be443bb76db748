"""What is wrong with something that a user wrote, in words that the user can act on."""

from __future__ import annotations

from dataclasses import dataclass

from wasmcloud_operator.reasons import Reason


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend: a reason, where in the resource it is (empty: somewhere else), and a sentence."""

    reason: Reason
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def set_back(sentence: str) -> Problem:
    """Returns the problem of an object that somebody else sets back."""
    return Problem(Reason.SET_BACK, "", sentence)


class SpecError(Exception):
    """The spec cannot be rendered; only its author can mend it."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


class SecretsError(SpecError):
    """What the spec refers to is missing or cannot be used: a change of it is seen, and may mend it."""
