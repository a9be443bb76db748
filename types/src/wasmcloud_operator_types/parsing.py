"""Objects as JSON to models and back, with errors that name the JSON path of every fault at once."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

M = TypeVar("M", bound=BaseModel)

UNKNOWN_FIELD = "is not a known field: check the spelling, or upgrade the operator"
_NOTHING = object()
_LARGEST_EXACT = 2**53 - 1
_SUBJECT = re.compile(r"^[A-Z][a-z]+ should ")


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault in an object: its place and what is wrong there. The value is left out: it may be secret."""

    path: str
    """JSON path from the object's root, for example ``spec.components[0].properties.image``; empty for the root."""

    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class FaultsWithin(ValueError):
    """Raised by a validator of a field: several faults in its value, by the steps to each."""

    def __init__(self, faults: Sequence[tuple[Sequence[str | int], str]]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{format_path(steps)}: {message}" for steps, message in self.faults))


class InvalidObjectError(ValueError):
    """An object that its model does not take; ``errors`` has every fault."""

    def __init__(self, kind: str, errors: Sequence[FieldError]) -> None:
        self.kind = kind
        self.errors = tuple(errors)
        super().__init__(f"not a valid {kind}: " + "; ".join(map(str, self.errors)))


def parse(model: type[M], value: object) -> M:
    """The model read from a decoded JSON value. A number such as 2.0 is a whole one, as it is to the API server.

    Raises InvalidObjectError with every fault. No fault carries a value of the object.
    """
    with contextlib.suppress(ValidationError):
        return model.model_validate(value, by_alias=True, by_name=False)
    with contextlib.suppress(RecursionError):  # no model takes anything that deep
        value = _with_whole_numbers(value)
    try:
        return model.model_validate(value, by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidObjectError(model.__name__, field_errors(error, value)) from None


def dump(model: BaseModel) -> dict[str, JsonValue]:
    """The model as JSON: exactly the fields that were written or set, without nulls."""
    return model.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)


def with_spec(resource: M, changes: Mapping[str, object]) -> M:
    """Returns a copy of a whole object whose spec has the changes, validated like any other.

    The changes have the fields' JSON names. One that is an object changes only the fields that it names; None takes a
    field out. Raises InvalidObjectError with every fault.
    """
    written = dump(resource)
    spec = written.get("spec")
    return parse(type(resource), {**written, "spec": changed(spec if isinstance(spec, dict) else {}, changes)})


def changed(base: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """Returns the JSON object with the changes: objects field by field, None takes a field out."""
    result = dict(base)
    for name, change in changes.items():
        value = dump(change) if isinstance(change, BaseModel) else change
        held = result.get(name)
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping) and isinstance(held, Mapping) and not isinstance(change, BaseModel):
            result[name] = changed(held, value)
        else:
            result[name] = value
    return result


def field_errors(error: ValidationError, value: object) -> tuple[FieldError, ...]:
    """The faults of a failed validation of ``value``, each path once per message, in the order found."""
    faults: list[FieldError] = []
    for detail in error.errors(include_url=False, include_input=False):
        path = _path(detail["loc"], value, absent=detail["type"] == "missing")
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, FaultsWithin):
            faults += (FieldError(format_path(steps, path), message) for steps, message in cause.faults)
        else:
            faults.append(FieldError(path, _message(detail["type"], detail["msg"])))
    return tuple(dict.fromkeys(faults))


def format_path(parts: Sequence[str | int], path: str = "") -> str:
    """A JSON path in the form of Kubernetes' own messages, its parts within another path.

    >>> format_path(("spec", "components", 0, "name"))
    'spec.components[0].name'
    """
    for part in parts:
        path = child_path(path, part)
    return path


def child_path(path: str, step: str | int) -> str:
    """The path of a list item or field; keys that are no plain names stand in brackets and quotes."""
    if isinstance(step, int):
        return f"{path}[{step}]"
    if not step.replace("_", "").replace("-", "").isalnum():
        return f'{path}["{step}"]'
    return f"{path}.{step}" if path else step


def path_around(path: str) -> str:
    """Returns the path of the object or list that a path is in."""
    if path.endswith('"]'):
        return path[: path.rindex('["')]
    if path.endswith("]"):
        return path[: path.rindex("[")]
    return path.rpartition(".")[0]


def _with_whole_numbers(value: object) -> object:
    """The value with 2 in the place of 2.0: so the API server reads it, as far as a float is exact."""
    if isinstance(value, Mapping):
        return {name: _with_whole_numbers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_whole_numbers(item) for item in value]
    whole = isinstance(value, float) and value.is_integer() and abs(value) <= _LARGEST_EXACT
    return int(value) if whole and isinstance(value, float) else value


def _path(loc: Sequence[str | int], value: object, *, absent: bool) -> str:
    """The path of a fault; steps that are pydantic's own (union members) and not in the value are left out."""
    parts: list[str | int] = []
    current = value
    for index, step in enumerate(loc):
        inside = _inside(current, step)
        if inside is not _NOTHING:
            current = inside
        elif not (absent and index == len(loc) - 1):
            continue
        parts.append(step)
    return format_path(parts)


def _inside(value: object, step: str | int) -> object:
    """What the step leads to; _NOTHING if it leads nowhere."""
    if isinstance(step, int):
        return value[step] if isinstance(value, Sequence) and not isinstance(value, str) else _NOTHING
    return value.get(step, _NOTHING) if isinstance(value, Mapping) else _NOTHING


def _message(kind: str, message: str) -> str:
    match kind:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return UNKNOWN_FIELD
        case _:
            return _SUBJECT.sub("must ", message.removeprefix("Value error, "))
