"""Values taken out of a decoded JSON object, with a note of everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from wasmcloud_operator_types.parsing import child_path

Severity = Literal["error", "warning"]
Object: TypeAlias = Mapping[str, object]

_U64_MAX = 2**64 - 1
_WORDS = {
    type(None): "null",
    bool: "a boolean",
    float: "a number with a fraction",
    int: "a number",
    str: "a string",
}


@dataclass(frozen=True, slots=True)
class ManifestProblem:
    """One fault of a manifest: how grave, where, and what to do about it."""

    severity: Severity
    path: str
    """JSON path from the manifest's root, for example ``spec.components[0].properties.image``."""

    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


@dataclass(slots=True)
class CheckedReader:
    """Takes values out of a decoded JSON object and notes what is wrong with them."""

    problems: list[ManifestProblem] = field(default_factory=list)

    def error(self, path: str, message: str) -> None:
        """Notes a fault that wadm or the operator refuses."""
        self.problems.append(ManifestProblem("error", path, message))

    def warn(self, path: str, message: str) -> None:
        """Notes something that works, but probably not as meant."""
        self.problems.append(ManifestProblem("warning", path, message))

    def mapping(self, value: object, path: str) -> Object | None:
        """The value as an object; None with a problem otherwise."""
        if isinstance(value, Mapping):
            return value
        self.error(path, f"must be an object, not {_named(value)}")
        return None

    def section(self, parent: Object, key: str, path: str, missing: str = "is required") -> Object | None:
        """The object that must stand under a key; None with a problem otherwise."""
        at = child_path(path, key)
        if key in parent:
            return self.mapping(parent[key], at)
        self.error(at, missing)
        return None

    def items(self, parent: Object, key: str, path: str, *, nullable: bool = False) -> Iterator[tuple[str, object]]:
        """Path and value of each item of an optional list."""
        value = parent.get(key)
        if key not in parent or (nullable and value is None):
            return
        if not isinstance(value, Sequence) or isinstance(value, str):
            self.error(child_path(path, key), f"must be a list, not {_named(value)}")
            return
        for index, item in enumerate(value):
            yield f"{path}.{key}[{index}]", item

    def objects(self, parent: Object, key: str, path: str, *, nullable: bool = False) -> Iterator[tuple[str, Object]]:
        """Path and value of each object of an optional list."""
        for at, item in self.items(parent, key, path, nullable=nullable):
            entry = self.mapping(item, at)
            if entry is not None:
                yield at, entry

    def text(self, parent: Object, key: str, path: str) -> str | None:
        """A string that must be there."""
        if key not in parent:
            self.error(child_path(path, key), "is required")
            return None
        return self._text(parent[key], child_path(path, key))

    def optional_text(self, parent: Object, key: str, path: str) -> str | None:
        """A string that may be missing or null."""
        value = parent.get(key)
        return None if value is None else self._text(value, child_path(path, key))

    def texts(self, parent: Object, key: str, path: str) -> Iterator[str]:
        """The strings of an optional list; each other item is a problem."""
        for at, item in self.items(parent, key, path):
            text = self._text(item, at)
            if text is not None:
                yield text

    def strings(self, value: object, path: str) -> Mapping[str, str]:
        """The string values of an object of strings; each other value is a problem."""
        entries = self.mapping(value, path)
        found = {}
        for key, entry in (entries or {}).items():
            text = self._text(entry, child_path(path, str(key)))
            if text is not None:
                found[key] = text
        return found

    def count(self, value: object, path: str) -> None:
        """Checks a number of instances or a weight: an unsigned 64-bit integer."""
        if isinstance(value, float) and value > _U64_MAX:
            self.error(path, f"must be a whole number, {_U64_MAX} at most")
        elif isinstance(value, bool) or not isinstance(value, int):
            self.error(path, f"must be a whole number, 0 or more, not {_named(value)}")
        elif value < 0:
            self.error(path, "must be a whole number, 0 or more, not a negative one")
        elif value > _U64_MAX:
            self.error(path, f"must be a whole number, {_U64_MAX} at most")

    def only(self, parent: Object, known: Sequence[str], path: str) -> None:
        """Refuses fields that wadm refuses."""
        for key in parent:
            if key not in known:
                self.error(child_path(path, key), f"is not a field that wadm knows here: use one of {', '.join(known)}")

    def ignored(self, parent: Object, known: Sequence[str], path: str) -> None:
        """Warns of fields that wadm drops in silence."""
        for key in parent:
            if key not in known:
                self.warn(child_path(path, key), f"is ignored by wadm: remove it, or use one of {', '.join(known)}")

    def _text(self, value: object, path: str) -> str | None:
        if isinstance(value, str):
            return value
        quoted = isinstance(value, bool | int | float)
        self.error(path, f"must be a string, not {_named(value)}" + (": put it in quotes" if quoted else ""))
        return None


def _named(value: object) -> str:
    """What a value is, in JSON's words. Never the value: it may be a secret that was put in the wrong place."""
    if isinstance(value, Mapping):
        return "an object"
    return _WORDS.get(type(value), "a list")
