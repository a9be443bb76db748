"""What the operator's code lets users read: messages of conditions and Events by their reasons, and log events."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}
_EVENT_TYPES = ("Normal", "Warning")
_KEYWORDS = ("reason", "message", "note", "hint")
_Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef


class LogEvent(NamedTuple):
    """A line of the log: its level, its event and the fields that it has besides those of its logger."""

    level: str
    event: str
    fields: tuple[str, ...]
    module: str


class Message(NamedTuple):
    """A text beside a reason; what is filled in stands in angle brackets. `event` is the type of an Event, or ""."""

    reason: str
    text: str
    event: str


@dataclass(frozen=True)
class Sources:
    """The modules of a package, parsed."""

    trees: dict[str, ast.Module]

    @classmethod
    def of(cls, folder: Path) -> Sources:
        """Every module in the folder by its path there, without test doubles and the table of reasons."""
        files = sorted(
            file for file in folder.rglob("*.py") if "testing" not in file.parts and file.name != "reasons.py"
        )
        return cls({str(file.relative_to(folder)): ast.parse(file.read_text(encoding="utf-8")) for file in files})

    def log_events(self) -> list[LogEvent]:
        """Every call of a logger, by level and event. Raises ValueError for a call whose event cannot be found."""
        found = set()
        for module, tree in self.trees.items():
            for scope, call in _calls(tree):
                levels = _levels(call, scope)
                texts = list(_events(call, scope, tree)) if levels else []
                if levels and not texts:
                    raise ValueError(f"{module}:{call.lineno}: the log event cannot be found in the code")
                fields = tuple(word.arg for word in call.keywords if word.arg not in (None, "exc_info"))
                found |= {LogEvent(level, text, fields, module) for level in levels for text in texts}
        order = list(dict.fromkeys(_LEVELS.values()))
        return sorted(found, key=lambda each: (-order.index(each.level), each.event.casefold(), each))

    def messages(self, reasons: dict[str, str]) -> list[Message]:
        """Every text that stands beside a reason in a call or a tuple; `reasons` are values by member name."""
        found = set()
        for tree in self.trees.values():
            for scope, node in _nodes(tree):
                parts = _parts(node)
                at = next((number for number, part in enumerate(parts) if _reasons_in(part, reasons)), None)
                if at is None:
                    continue
                event = next((part.value for part in parts[:at] if _is_event_type(part)), "")
                texts = {text for part in parts[at + 1 :] for text in _texts(part, scope, tree) if " " in text}
                found |= {Message(reason, text, event) for reason in _reasons_in(parts[at], reasons) for text in texts}
        return sorted(found)


def _calls(tree: ast.Module) -> Iterator[tuple[_Scope, ast.Call]]:
    return ((scope, node) for scope, node in _nodes(tree) if isinstance(node, ast.Call))


def _nodes(scope: _Scope) -> Iterator[tuple[_Scope, ast.AST]]:
    """Every node below with the innermost function around it."""
    waiting: list[ast.AST] = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        yield scope, node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _nodes(node)
        else:
            waiting += ast.iter_child_nodes(node)


def _levels(call: ast.Call, scope: _Scope) -> set[str]:
    """The levels of a logger's call; none of any other. A method of a logger may have been assigned to a name."""
    match call.func:
        case ast.Attribute(attr=name) as method if _is_logger(method.value):
            return {_LEVELS[name]} if name in _LEVELS else set()
        case ast.Name(id=name):
            chosen = (part for value in _assigned(name, scope) for part in ast.walk(value))
            return {_LEVELS[part.attr] for part in chosen if isinstance(part, ast.Attribute) and _is_logger(part.value)}
    return set()


def _is_logger(node: ast.expr) -> bool:
    return ast.unparse(node) in ("log", "_log", "_log()", "structlog.get_logger()")


def _events(call: ast.Call, scope: _Scope, tree: ast.Module) -> Iterator[str]:
    """The events that a logger's call may have; of a parameter, what the module's own calls put there."""
    event = call.args[0]
    yield from _texts(event, scope, tree)
    if isinstance(event, ast.Name) and isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
        parameters = [each.arg for each in scope.args.args if each.arg != "self"]
        for inner, other in _calls(tree) if event.id in parameters else ():
            if getattr(other.func, "attr", getattr(other.func, "id", "")) == scope.name:
                yield from _texts(other.args[parameters.index(event.id)], inner, tree)


def _parts(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Call):
        return [
            *node.args,
            *(word.value for word in node.keywords if word.arg in _KEYWORDS),
        ]
    return list(node.elts) if isinstance(node, ast.Tuple) else []


def _is_event_type(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in _EVENT_TYPES


def _reasons_in(node: ast.expr, reasons: dict[str, str]) -> set[str]:
    match node:
        case ast.Attribute(value=ast.Name(id="Reason"), attr=name):
            return {reasons[name]}
        case ast.IfExp(body=body, orelse=other):
            return _reasons_in(body, reasons) | _reasons_in(other, reasons)
        case ast.Constant(value=str(value)) if value in reasons.values():
            return {value}
    return set()


def _texts(node: ast.expr, scope: _Scope, tree: ast.Module, depth: int = 4) -> list[str]:
    """The texts that an expression can be, as far as the code around it shows."""
    match node:
        case ast.Constant(value=str(value)):
            return [value]
        case ast.JoinedStr(values=parts):
            return _joined([_piece(part, scope, tree, depth) for part in parts])
        case ast.IfExp(body=body, orelse=other):
            return [*_texts(body, scope, tree, depth), *_texts(other, scope, tree, depth)]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _joined([_texts(left, scope, tree, depth), _texts(right, scope, tree, depth)])
        case ast.Name(id=name) if depth:
            assigned = [*_assigned(name, scope), *(_assigned(name, tree) if scope is not tree else ())]
            return [text for value in assigned for text in _texts(value, scope, tree, depth - 1)]
    return []


def _piece(part: ast.expr, scope: _Scope, tree: ast.Module, depth: int) -> list[str]:
    if isinstance(part, ast.FormattedValue):
        fixed = _texts(part.value, scope, tree, depth - 1) if depth else []
        return fixed if fixed and all(len(text) < 80 for text in fixed) else [f"<{_name(part.value)}>"]
    return _texts(part, scope, tree, depth)


def _joined(pieces: Iterable[list[str]]) -> list[str]:
    texts = [""]
    for piece in pieces:
        texts = [before + after for before in texts for after in piece or ["<…>"]][:8]
    return texts


def _assigned(name: str, scope: _Scope) -> Iterator[ast.expr]:
    for statement in ast.walk(scope) if not isinstance(scope, ast.Module) else scope.body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=target)], value=value)
                | ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value)
            ) if target == name:
                yield value


def _name(node: ast.AST) -> str:
    """What is filled in, by the last name in the expression."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.replace("_", " ").strip()
        case ast.Call(func=ast.Name(id="str" | "len" | "repr"), args=[inner]):
            return _name(inner)
        case ast.Call(func=ast.Attribute(attr="join"), args=[inner, *_]):
            return _name(inner)
        case ast.Call(func=called):
            return _name(called)
        case ast.Subscript(value=inner) | ast.Starred(value=inner) | ast.GeneratorExp(elt=inner):
            return _name(inner)
    return "…"
