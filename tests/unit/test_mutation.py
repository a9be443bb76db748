"""The explanations of surviving mutants are of code that is there; `make mutants` tries the mutants themselves."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from mutation.table import TABLE, Mutant, explained

PACKAGE = Path(__file__).parents[2] / "operator/src/wasmcloud_operator"


def code_of(module: str, function: str) -> str:
    """The text of a function, or of a method as Class.method, on one line."""
    text = (PACKAGE / f"{module}.py").read_text(encoding="utf-8")
    body: list[ast.stmt] = ast.parse(text).body
    for name in function.split("."):
        (found,) = (node for node in body if getattr(node, "name", "") == name)
        body = found.body
    return " ".join((ast.get_source_segment(text, found) or "").split())


def test_each_row_of_the_tables_is_an_explanation():
    rows = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert len(explained()) == len(rows) > 0


@pytest.mark.parametrize("mutant", sorted(explained()), ids=lambda mutant: f"{mutant.module}:{mutant.function}")
def test_the_code_has_what_each_explained_mutant_changes(mutant: Mutant):
    assert " ".join(mutant.before.split()) in code_of(mutant.module, mutant.function)
    assert mutant.before != mutant.after


def test_a_mutant_is_written_as_the_table_has_it():
    mutant = Mutant("kube/difference", "_in_list", "a | b", "a or b")
    assert str(mutant) == "| `kube/difference:_in_list` | `` a \\| b `` | `` a or b `` |"
