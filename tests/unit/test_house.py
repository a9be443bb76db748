"""Rules of the house that no linter knows: one name for one thing, constructors that name their parts."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import wasmcloud_operator

CODE = Path(wasmcloud_operator.__file__).parent
MODULES = {path.relative_to(CODE).as_posix(): ast.parse(path.read_text()) for path in sorted(CODE.rglob("*.py"))}

# kube/ and lattice/ know nothing of each other: of what can fail on both, each has an error of its own.
ON_BOTH_SIDES = {"GarbledAnswer", "WritesForbidden"}
# Each command is called once, from its options.
COMMANDS = "commands/"
MOST_POSITIONAL = 5
# Tables of these read as tables, and doubles are called by tests alone.
POSITIONAL = {"permissions.py", "kube/testing/api.py", "lattice/testing/scripted_host.py", "lattice/testing/wadm.py"}
MUTABLE = ("dict[", "list[", "set[", "deque[", "Counter[")


# One function hands on all of a request.
ALL_OF_A_REQUEST = {"kube/transport.py:_send"}


def classes() -> Iterator[tuple[str, ast.ClassDef]]:
    for name, tree in MODULES.items():
        yield from ((name, node) for node in tree.body if isinstance(node, ast.ClassDef))


def decorator(node: ast.ClassDef) -> str:
    return " ".join(ast.unparse(each) for each in node.decorator_list)


def fields(node: ast.ClassDef) -> list[ast.AnnAssign]:
    return [each for each in node.body if isinstance(each, ast.AnnAssign) and "ClassVar" not in ast.unparse(each)]


def test_no_two_public_classes_have_one_name() -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for module, node in classes():
        if not node.name.startswith("_"):
            found[node.name].append(module)
    assert {name for name, modules in found.items() if len(modules) > 1} == ON_BOTH_SIDES


def test_constructors_of_many_parts_take_them_by_name() -> None:
    found = []
    for module, node in classes():
        if module.startswith(COMMANDS) or module in POSITIONAL:
            continue
        if "dataclass" in decorator(node) and "kw_only" not in decorator(node):
            taken = [each for each in fields(node) if not ast.unparse(each.target).startswith("_")]
            if len(taken) > MOST_POSITIONAL:
                found.append(f"{module}:{node.name}")
        for each in node.body:
            is_constructor = isinstance(each, ast.FunctionDef) and each.name == "__init__"
            if is_constructor and len(each.args.args) - 1 > MOST_POSITIONAL:
                found.append(f"{module}:{node.name}")
    assert found == []


def test_functions_of_many_parameters_take_them_by_name() -> None:
    found = {
        f"{module}:{node.name}"
        for module, tree in MODULES.items()
        if module != "cli.py" and not module.startswith(COMMANDS)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and len([each for each in node.args.args if each.arg not in ("self", "cls")]) > MOST_POSITIONAL
    }
    assert found == ALL_OF_A_REQUEST


def test_frozen_classes_keep_no_memory_that_changes() -> None:
    found = [
        f"{module}:{node.name}.{ast.unparse(each.target)}"
        for module, node in classes()
        if "frozen=True" in decorator(node)
        for each in fields(node)
        if ast.unparse(each.target).startswith("_") and ast.unparse(each.annotation).startswith(MUTABLE)
    ]
    assert found == []
