"""The table of reasons has each one that the code can write, and no other; no decision is made on a text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from wasmcloud_operator import reasons
from wasmcloud_operator.lattice import errors as lattice_errors
from wasmcloud_operator.lattice.wadm_types import StatusType
from wasmcloud_operator.reasons import Reason

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
    "_record_event": 1,
    "_until_timeout": 1,
    "is_ready": 0,
    "out_of_reach": 0,
    "progressing": 0,
    "ready": 0,
    "stalled": 0,
    "record_event": 0,
}
# Events have their type before their reason, whatever the call is named.
EVENT = {"_event", "event"}
# Reasons that are put together: `Reason(f"…")`.
CHILDREN = ("ConfigMap", "DaemonSet", "Deployment", "PodDisruptionBudget", "Secret", "Service", "ServiceAccount")
MADE = {
    "{step}Rejected": {"PutRejected", "DeployRejected"},
    "{kind}NotFound": {"SecretNotFound", "ConfigMapNotFound"},
    "{kind}KeyMissing": {"SecretKeyMissing", "ConfigMapKeyMissing"},
    "{resource.kind}Refused": {f"{kind}Refused" for kind in CHILDREN},
    "{name}Lost": {"LatticeLost", "WadmLost"},
    "{name}Found": {"LatticeFound", "WadmFound"},
}
# Texts of others that the code decides on, since they are all that the others say.
TEXTS_OF_OTHERS = {
    "kube/errors.py": "the API server's Status",
    "hostpool/status.py": "the conditions of Deployments",
    "hostpool/pod_reasons.py": "the kubelet's reasons",
    "hostpool/reconciler.py": "the kubelet's reasons, of pod_reasons",
    "commands/overview/pods.py": "the kubelet's reasons",
    "lattice/wadm.py": "wadm's answers",
}


def modules(*folders: str) -> list[Path]:
    return [file for folder in folders for file in sorted((CODE / folder).rglob("*.py"))]


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def upper() -> list[Path]:
    """The modules above the table."""
    return modules("application", "commands", "expose", "hostpool", "legacy", "manifest", "shared")


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
    for node in tree_of(file).body:
        if isinstance(node, ast.Assign):
            for target, value in zip(_flat(node.targets[0]), _flat(node.value), strict=False):
                if isinstance(target, ast.Name) and literal(value):
                    found[target.id] = next(iter(literal(value)))
    return found


def _flat(node: ast.AST) -> list[ast.AST]:
    return list(node.elts) if isinstance(node, ast.Tuple) else [node]


def written_out(files: list[Path]) -> dict[str, str]:
    """Every reason that stands as a text where a reason belongs, with where."""
    found: dict[str, str] = {}
    for file in files:
        names = constants(file)
        for node in ast.walk(tree_of(file)):
            reason = taken(node) if isinstance(node, ast.Call) else None
            if reason is None:
                continue
            written = {names[reason.id]} if isinstance(reason, ast.Name) and reason.id in names else literal(reason)
            found |= dict.fromkeys(written, f"{file.relative_to(CODE)}:{node.lineno}")
    return found


def used() -> set[str]:
    """Every reason that the modules above the table name or put together."""
    found: set[str] = set()
    for file in upper():
        for node in ast.walk(tree_of(file)):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "Reason":
                found.add(Reason[node.attr])
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Reason":
                found |= literal(node.args[0])
    return found


def failures() -> set[str]:
    """The errors of a lattice whose names are an application's reasons."""
    kinds = [each for each in vars(lattice_errors).values() if isinstance(each, type)]
    return {kind.__name__ for kind in kinds if issubclass(kind, lattice_errors.LatticeError)}


def test_every_reason_has_a_meaning():
    assert set(Reason) == TABLE


def test_above_the_table_no_reason_is_written_out():
    assert not written_out(upper())


def test_every_reason_of_a_lattice_is_in_the_table():
    found = written_out(modules("lattice"))
    assert len(found) > 5
    assert not found.keys() - TABLE


def test_every_error_of_a_lattice_is_an_applications_reason_in_the_table():
    assert failures() <= reasons.REASONS["application"].keys()


def test_every_state_of_wadm_is_an_applications_reason_in_the_table():
    assert {kind.capitalize() for kind in StatusType} <= reasons.REASONS["application"].keys()


def test_the_table_has_no_reason_that_the_code_does_not_write():
    states = {kind.capitalize() for kind in StatusType}
    assert not TABLE - used() - written_out(modules("lattice")).keys() - failures() - states


def named_texts(files: list[Path]) -> set[str]:
    """The names of the modules' constants that are texts, or hold some."""
    return {
        target.id
        for file in files
        for node in tree_of(file).body
        if isinstance(node, ast.Assign) and has_text(node.value, set())
        for target in _flat(node.targets[0])
        if isinstance(target, ast.Name)
    }


def decisions_on_texts(file: Path, texts: set[str]) -> Iterator[int]:
    """The lines that compare a reason or a message with a text: written out, or a constant of the name."""
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Compare):
            sides = [_flat(side) for side in (node.left, *node.comparators)]
            alike = len({len(side) for side in sides}) == 1
            together = zip(*sides, strict=True) if alike else [[part for side in sides for part in side]]
            if any(any(map(is_words, pair)) and any(has_text(one, texts) for one in pair) for pair in together):
                yield node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            asks = node.func.attr in ("startswith", "endswith", "find", "index", "count")
            if asks and is_words(node.func.value) and any(has_text(each, texts) for each in node.args):
                yield node.lineno
        elif isinstance(node, ast.Match) and is_words(node.subject):
            yield node.lineno


def is_words(node: ast.AST) -> bool:
    """Whether an expression is somebody's reason or message, or a problem in words."""
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name) | ast.Subscript(slice=ast.Constant(value=name)):
            return name in ("reason", "message")
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=name), *_]):
            return name in ("reason", "message")
        case ast.Call(func=ast.Name(id="str"), args=[ast.Name(id=name)]):
            return name in ("problem", "error", "one")
        case ast.Set(elts=[each]) | ast.SetComp(elt=each) | ast.ListComp(elt=each) | ast.GeneratorExp(elt=each):
            return is_words(each)
    return False


def has_text(node: ast.AST, texts: set[str]) -> bool:
    """Whether an expression is, or holds, a text that is not empty; `texts` are names of constants that do."""
    match node:
        case ast.Constant(value=str(value)):
            return bool(value)
        case ast.Name(id=name):
            return name in texts
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            return any(has_text(part, texts) for part in parts)
        case ast.Call(func=ast.Name(id="frozenset" | "set" | "tuple"), args=[held]):
            return has_text(held, texts)
        case ast.Dict(keys=keys):
            return any(key is not None and has_text(key, texts) for key in keys)
    return False


def test_no_decision_is_made_on_a_text_of_our_own():
    files = modules("")
    texts = named_texts(files)
    found = {file.relative_to(CODE).as_posix(): list(decisions_on_texts(file, texts)) for file in files}
    assert {file: lines for file, lines in found.items() if lines}.keys() == TEXTS_OF_OTHERS.keys()


@pytest.mark.parametrize(
    "line",
    [
        'found = one.reason == "Conflict"',
        'found = "Conflict" == one.reason',
        'found = one.reason in ("Conflict", "Unknown")',
        'found = (one.reason, one.path) != ("Conflict", "")',
        'WORD = "Conflict"\nfound = WORD in {one.reason for one in problems}',
        'WORDS = frozenset({"Conflict"})\nfound = gate.reason in WORDS',
        'found = entry["reason"] == "Conflict"',
        'found = entry.get("message", "") == "no answer"',
        'found = "no answer" in one.message',
        'found = "no answer" in str(problem)',
        'found = message.startswith("no answer")',
    ],
)
def test_a_decision_on_a_text_is_found(line, tmp_path):
    file = tmp_path / "module.py"
    file.write_text(line)
    assert list(decisions_on_texts(file, named_texts([file])))


def test_a_comparison_of_reasons_is_no_decision_on_a_text(tmp_path):
    file = tmp_path / "module.py"
    file.write_text(
        'found = one.reason is Reason.CONFLICT or one.reason == "" or (a.status, a.reason) == ("False", b.reason)'
    )
    assert not list(decisions_on_texts(file, set()))


@pytest.mark.parametrize("where", reasons.REASONS)
def test_every_meaning_is_a_sentence(where):
    for name, meaning in reasons.REASONS[where].items():
        assert re.fullmatch(r"[A-Z]\w+", name)
        assert re.fullmatch(r"[\w`].*[.?]", meaning), name


def test_every_condition_that_is_written_is_in_the_table():
    known = {condition.type for condition in reasons.CONDITIONS}
    found: set[str] = set()
    for file in (*upper(), CODE / "kube" / "conditions.py"):
        names = constants(file)
        for node in ast.walk(tree_of(file)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Condition" and node.args:
                type_ = node.args[0]
                found |= {names[type_.id]} if isinstance(type_, ast.Name) and type_.id in names else literal(type_)
    assert found == known - {"k8s.wasmcloud.dev/serving"}
