"""The table of reasons has each one that the code can write, and no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from wasmcloud_operator import reasons
from wasmcloud_operator.lattice import errors as lattice_errors
from wasmcloud_operator.lattice.wadm_types import StatusType

CODE = Path(reasons.__file__).parent
TABLE = {name for table in reasons.REASONS.values() for name in table}

# Where a call takes a reason: the place among its positional arguments.
TAKES_A_REASON = {
    "Condition": 2,
    "ConnectionState": 1,
    "Diagnosis": 0,
    "NotChosen": 0,
    "Problem": 0,
    "Report": 1,
    "_failed": 0,
    "_opened": 0,
    "_pending": 1,
    "_problem": 0,
    "_shut": 0,
    "_tell": 1,
    "_until_timeout": 1,
    "is_ready": 0,
    "out_of_reach": 0,
    "progressing": 0,
    "ready": 0,
    "stalled": 0,
    "tell": 0,
}
# Events have their type before their reason, whatever the call is named.
EVENT = {"_event", "event"}
# Reasons that are put together.
CHILDREN = ("ConfigMap", "DaemonSet", "Deployment", "PodDisruptionBudget", "Secret", "Service", "ServiceAccount")
MADE = {
    "{step}Rejected": {"PutRejected", "DeployRejected"},
    "{kind}NotFound": {"SecretNotFound", "ConfigMapNotFound"},
    "{kind}KeyMissing": {"SecretKeyMissing", "ConfigMapKeyMissing"},
    "{resource.kind}Refused": {f"{kind}Refused" for kind in CHILDREN},
    "{name}Lost": {"LatticeLost", "WadmLost"},
    "{name}Found": {"LatticeFound", "WadmFound"},
}
PASSED_ON = {"Unschedulable"}  # Kubernetes' own


def modules() -> list[Path]:
    folders = ("application", "expose", "hostpool", "lattice", "manifest", "shared")
    return [file for folder in folders for file in sorted((CODE / folder).rglob("*.py"))]


def literal(node: ast.AST) -> set[str]:
    """The CamelCase texts that an expression can be, and those that a known f-string is made to."""
    if isinstance(node, ast.JoinedStr):
        return MADE.get(ast.unparse(node)[2:-1], {ast.unparse(node)})
    if isinstance(node, ast.IfExp):
        return literal(node.body) | literal(node.orelse)
    if isinstance(node, ast.BoolOp):
        return set().union(*map(literal, node.values))
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value} if re.fullmatch(r"[A-Z]\w+", node.value) else set()
    return set()


def taken(call: ast.Call) -> ast.AST | None:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in EVENT:
        kinds = [at for at, each in enumerate(call.args) if literal(each) & {"Normal", "Warning"}]
        return call.args[kinds[0] + 1] if kinds else None
    at = TAKES_A_REASON.get(name)
    given = next((keyword.value for keyword in call.keywords if keyword.arg == "reason"), None)
    return call.args[at] if at is not None and len(call.args) > at else given


def constants(file: Path) -> dict[str, str]:
    """CamelCase texts that a module names, also as the default of a parameter."""
    found: dict[str, str] = {}
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign):
            for target, value in zip(_flat(node.targets[0]), _flat(node.value), strict=False):
                if isinstance(target, ast.Name) and literal(value):
                    found[target.id] = next(iter(literal(value)))
    return found


def _flat(node: ast.AST) -> list[ast.AST]:
    return list(node.elts) if isinstance(node, ast.Tuple) else [node]


def used() -> dict[str, str]:
    """Every reason that is written out in the code, with where."""
    found: dict[str, str] = {}
    for file in modules():
        names = constants(file)
        for node in ast.walk(ast.parse(file.read_text())):
            reason = taken(node) if isinstance(node, ast.Call) else None
            if reason is None:
                continue
            written = {names[reason.id]} if isinstance(reason, ast.Name) and reason.id in names else literal(reason)
            found |= dict.fromkeys(written, f"{file.relative_to(CODE)}:{node.lineno}")
    return found


def assigned() -> set[str]:
    """Reasons that stand in a variable first: `reason = … else "NoHosts"`, and defaults of parameters."""
    found: set[str] = set()
    for file in modules():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Assign) and any(getattr(each, "id", "") == "reason" for each in node.targets):
                found |= literal(node.value)
            if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) and node.value.elts:
                found |= literal(node.value.elts[0]) & TABLE
    return found


def failures() -> set[str]:
    """The errors of a lattice whose names are an application's reasons."""
    kinds = [each for each in vars(lattice_errors).values() if isinstance(each, type)]
    return {kind.__name__ for kind in kinds if issubclass(kind, lattice_errors.LatticeError)}


def test_every_reason_of_the_code_is_in_the_table():
    found = used()
    assert len(found) > 90
    missing = {reason: at for reason, at in found.items() if reason not in TABLE | PASSED_ON}
    assert not missing
    assert assigned() <= TABLE | PASSED_ON


def test_every_error_of_a_lattice_is_an_applications_reason_in_the_table():
    assert failures() <= reasons.REASONS["application"].keys()


def test_every_state_of_wadm_is_an_applications_reason_in_the_table():
    assert {kind.capitalize() for kind in StatusType} <= reasons.REASONS["application"].keys()


def test_the_table_has_no_reason_that_the_code_does_not_write():
    states = {kind.capitalize() for kind in StatusType}
    assert not TABLE - used().keys() - assigned() - failures() - states


@pytest.mark.parametrize("where", reasons.REASONS)
def test_every_meaning_is_a_sentence(where):
    for name, meaning in reasons.REASONS[where].items():
        assert re.fullmatch(r"[A-Z]\w+", name)
        assert re.fullmatch(r"[\w`].*[.?]", meaning), name


def test_every_condition_that_is_written_is_in_the_table():
    known = {condition.type for condition in reasons.CONDITIONS}
    found: set[str] = set()
    for file in (*modules(), CODE / "kube" / "conditions.py"):
        names = constants(file)
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Condition" and node.args:
                type_ = node.args[0]
                found |= {names[type_.id]} if isinstance(type_, ast.Name) and type_.id in names else literal(type_)
    assert found == known - {"k8s.wasmcloud.dev/serving"}
