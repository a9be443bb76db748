"""What keeps a host pool from being what its spec asks for."""

from __future__ import annotations

from wasmcloud_operator.shared.problem import Problem


class SpecError(Exception):
    """The spec cannot be rendered; only its author can mend it."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


class SecretsError(SpecError):
    """What the spec refers to is missing or cannot be used: a change of it is seen, and may mend it."""
