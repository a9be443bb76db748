"""What is wrong with something that a user wrote, in words that the user can act on."""

from __future__ import annotations

from dataclasses import dataclass

# Somebody else sets back what the operator applies.
SET_BACK = "SetBack"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend: a CamelCase reason, where in the resource it is (empty: somewhere else), and a sentence."""

    reason: str
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def set_back(sentence: str) -> Problem:
    """Returns the problem of an object that somebody else sets back."""
    return Problem(SET_BACK, "", sentence)
