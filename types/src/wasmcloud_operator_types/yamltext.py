"""YAML text to JSON values with the line and column of each: as kubectl reads it, with every fault in its place.

Parsed event by event, without recursion: libyaml's own composer dies of deep nesting.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml

from wasmcloud_operator_types.parsing import child_path, path_around
from wasmcloud_operator_types.yamlscalars import TAG, BadScalar, Scalar, foreign_tag, is_plain, scalar

Value: TypeAlias = Scalar | list["Value"] | dict[str, "Value"]

MOST_VALUES = 1_000_000  # etcd takes no object that holds as many
MOST_LEVELS = 100  # the deepest pod template has about twenty
_TEXT_OF_A_VALUE = 100  # so many characters of a text count as one more value: aliases multiply long texts, too

# kubectl divides a stream at these lines before it parses, so that a fault in one document leaves the others readable.
_DIVIDER = re.compile(r"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
# kubectl parses each part by itself, so that each may begin with a byte order mark: files were joined.
_LATER_MARK = re.compile(r"\A((?:%[^\n]*\n)*---[^\n]*\n)\ufeff")
_CONFLICT = re.compile(r"^(<{7}|>{7}) ", re.MULTILINE)
# Beyond the first 65,536 characters JSON writes two escapes for one, which YAML does not take.
_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
# Ends of lines to YAML, and to no editor.
_ODD_BREAK = re.compile("[\x85\u2028\u2029]")
_NOT_BLANK = re.compile(r"\S")
_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TEMPLATE = re.compile(r"^[^#\"'\n]*?(\{\{|\{%)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class TextPosition:
    """Where something is in a file; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a stream."""

    value: Value
    start: TextPosition
    places: Mapping[str, TextPosition]
    """By JSON path; what came by an alias or a merge key is missing."""

    def place(self, path: str) -> TextPosition:
        """Returns where a JSON path is, or the nearest thing around it where nothing is written there."""
        while path and path not in self.places:
            path = path_around(path)
        return self.places.get(path, self.start)


@dataclass(frozen=True, slots=True)
class DocumentFault:
    """What keeps a document from being read."""

    rule: str
    """yaml, template or duplicate-key."""

    place: TextPosition
    message: str


def read(text: str) -> Iterator[Document | DocumentFault]:
    """Yields each document that is not empty, and what is wrong with those that cannot be read."""
    in_json = _json_starts(text)
    starts = in_json or [0, *filter(None, (_with_directives(text, found.start()) for found in _DIVIDER.finditer(text)))]
    line = 0
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        part = text[start:end]
        if in_json:
            part = _PAIR.sub(_as_yaml, part)
        yield from _part(_LATER_MARK.sub(r"\1", part), line)
        line += part.count("\n")


def _json_starts(text: str) -> list[int]:
    """Returns where each of several JSON objects begins, which need no line between them; empty for anything else."""
    starts, end = [0], 0
    if not text.lstrip().startswith("{"):
        return []
    decoder = json.JSONDecoder()
    try:
        while begin := _NOT_BLANK.search(text, end):
            _, end = decoder.raw_decode(text, begin.start())
            starts.append(end)
    except (ValueError, RecursionError):
        return []
    return starts[:-1]


def _with_directives(text: str, divider: int) -> int:
    """Returns where the lines of directives above a divider begin."""
    start = divider
    while start and text.startswith("%", above := text.rfind("\n", 0, start - 1) + 1):
        start = above
    return start


def _as_yaml(pair: re.Match[str]) -> str:
    high, low = (int(pair[number], 16) for number in (2, 3))
    return f"{pair[1]}\\U{0x10000 + ((high - 0xD800) << 10) + low - 0xDC00:08X}"


def _part(text: str, line: int) -> Iterator[Document | DocumentFault]:
    found: list[Document] = []
    try:
        _refuse_forbidden(text, line)
        for built in _documents(text, line):
            if built.duplicates:
                yield from built.duplicates
            elif built.value is not None:
                found.append(Document(built.value, built.start, built.places))
    except _Unreadable as error:
        template = _TEMPLATE.search(text)
        if template is None:
            yield error.fault
        else:
            place = _place_in(text, template.start(1), line)
            mark = "{{ … }}" if template[1] == "{{" else "{% … %}"
            yield DocumentFault(
                "template", place, f"is a template that is not rendered ({mark}): check what it renders to"
            )
    yield from found


class _Unreadable(Exception):
    """Ends the reading of a part of the text."""

    def __init__(self, place: TextPosition, message: str) -> None:
        super().__init__(message)
        self.fault = DocumentFault("yaml", place, message)


def _refuse_forbidden(text: str, line: int) -> None:
    found = _FORBIDDEN.search(text)
    if found is not None:
        what = f"holds the character U+{ord(found[0]):04X}, which YAML does not take"
        raise _Unreadable(_place_in(text, found.start(), line), f"{what}: is it a binary file?")


@dataclass(slots=True)
class _Anchored:
    """What an anchor names; size counts the values in it, each alias as what it stands for; 0 while it is read."""

    value: Value = None
    size: int = 0


@dataclass(slots=True)
class _Frame:
    """A list or object that is being read."""

    value: list[Value] | dict[str, Value]
    path: str
    anchor: _Anchored
    size: int = 1
    key: str | None = None
    """The key whose value comes next; None where a key comes next."""

    merging: bool = False
    merged: list[Value] = field(default_factory=list)
    """What stands after `<<`."""


@dataclass(slots=True)
class _Built:
    """A document that is being read."""

    start: TextPosition
    value: Value = None
    places: dict[str, TextPosition] = field(default_factory=dict)
    duplicates: list[DocumentFault] = field(default_factory=list)


def _documents(text: str, line: int) -> Iterator[_Built]:
    builder = None
    odd_breaks = [found.start() for found in _ODD_BREAK.finditer(text)]
    events = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    while True:
        try:
            event = next(events, None)
        except yaml.MarkedYAMLError as error:
            raise _syntax_error(error, text, line) from None
        except (yaml.YAMLError, RecursionError) as error:
            raise _Unreadable(TextPosition(line + 1, 1), f"is not YAML: {' '.join(str(error).split())}") from None
        if event is None:
            return
        if isinstance(event, yaml.DocumentStartEvent):
            builder = _Builder(line, odd_breaks)
        elif isinstance(event, yaml.DocumentEndEvent) and builder is not None:
            yield builder.built
        elif isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent) and builder is not None:
            builder.take(event)


class _Builder:
    """Makes the value of one document from its events."""

    def __init__(self, line: int, odd_breaks: Sequence[int]) -> None:
        self._line = line
        self._odd_breaks = odd_breaks
        self._anchors: dict[str, _Anchored] = {}
        self._frames: list[_Frame] = []
        self._total = 0
        self.built = _Built(TextPosition(line + 1, 1))

    def take(self, event: yaml.Event) -> None:
        """Adds what an event brings. Raises _Unreadable."""
        mark = event.start_mark
        odd = bisect_left(self._odd_breaks, mark.index) if mark else 0
        place = TextPosition(self._line + mark.line - odd + 1, mark.column + 1) if mark else self.built.start
        if isinstance(event, yaml.CollectionEndEvent):
            self._close()
        elif self._key_is_next():
            self._take_key(event, place)
        elif isinstance(event, yaml.AliasEvent):
            self._take_alias(event.anchor, place)
        elif isinstance(event, yaml.ScalarEvent):
            value, size = _value(event, place), 1 + len(event.value) // _TEXT_OF_A_VALUE
            self._count(size, place)
            self._put(value, size, self._path(place))
            self._remember(event.anchor, _Anchored(value, size))
        elif isinstance(event, yaml.CollectionStartEvent):
            self._open(event, place)

    def _key_is_next(self) -> bool:
        frame = self._frames[-1] if self._frames else None
        return frame is not None and isinstance(frame.value, dict) and frame.key is None

    def _take_key(self, event: yaml.Event, place: TextPosition) -> None:
        if not isinstance(event, yaml.ScalarEvent):
            raise _Unreadable(place, "a key is no text")
        frame = self._frames[-1]
        if is_plain(event) and event.value == "<<":
            frame.key, frame.merging = "<<", True
            return
        key = _value(event, place)
        if key is None:
            raise _Unreadable(place, "a key is no text, but null")
        frame.key = str(key).lower() if isinstance(key, bool) else str(key) if isinstance(key, int) else event.value
        self._remember(event.anchor, _Anchored(frame.key, 1))
        path = child_path(frame.path, frame.key)
        first = self.built.places.get(path)
        if first is not None:
            what = f"the key {frame.key!r} is there twice, first in line {first.line}: remove one"
            self.built.duplicates.append(DocumentFault("duplicate-key", place, what))
        self.built.places[path] = place

    def _take_alias(self, name: str | None, place: TextPosition) -> None:
        anchored = self._anchors.get(name or "")
        if anchored is None:
            raise _Unreadable(place, "is not YAML: a value that begins with * names an anchor: put it in quotes")
        if anchored.size == 0:
            raise _Unreadable(place, f"is recursive: *{name} stands within what it names")
        self._count(anchored.size, place)
        self._put(anchored.value, anchored.size, self._path(place))

    def _open(self, event: yaml.CollectionStartEvent, place: TextPosition) -> None:
        if len(self._frames) >= MOST_LEVELS:
            raise _Unreadable(place, f"is nested too deeply: {MOST_LEVELS} levels at most")
        mapping = isinstance(event, yaml.MappingStartEvent)
        if event.tag not in (None, "!", f"{TAG}{'map' if mapping else 'seq'}"):
            raise _Unreadable(place, foreign_tag(event.tag))
        self._count(1, place)
        anchor = _Anchored()
        self._remember(event.anchor, anchor)
        self._frames.append(_Frame({} if mapping else [], self._path(place), anchor))

    def _close(self) -> None:
        frame = self._frames.pop()
        if isinstance(frame.value, dict):
            for source in frame.merged:
                for key, value in source.items() if isinstance(source, dict) else ():
                    frame.value.setdefault(key, value)
        frame.anchor.value, frame.anchor.size = frame.value, frame.size
        self._put(frame.value, frame.size, frame.path)

    def _path(self, place: TextPosition) -> str:
        """Returns the path of the value that comes next, and notes where it is."""
        if not self._frames:
            self.built.start = place
            return ""
        frame = self._frames[-1]
        if isinstance(frame.value, list):
            path = f"{frame.path}[{len(frame.value)}]"
            self.built.places[path] = place
            return path
        return child_path(frame.path, frame.key or "")

    def _put(self, value: Value, size: int, path: str) -> None:
        if not self._frames:
            self.built.value = value
            return
        frame = self._frames[-1]
        frame.size += size
        if isinstance(frame.value, list):
            frame.value.append(value)
        elif frame.merging:
            sources = value if isinstance(value, list) else [value]
            if not all(isinstance(source, dict) for source in sources):
                raise _Unreadable(self.built.places.get(path, self.built.start), "after << must stand an object")
            frame.merged += sources
            frame.key, frame.merging = None, False
        else:
            frame.value[frame.key or ""] = value
            frame.key = None

    def _remember(self, name: str | None, anchored: _Anchored) -> None:
        if name is not None:
            self._anchors[name] = anchored

    def _count(self, size: int, place: TextPosition) -> None:
        self._total += size
        if self._total > MOST_VALUES:
            raise _Unreadable(place, f"with its aliases written out it holds more than {MOST_VALUES:,} values")


def _value(event: yaml.ScalarEvent, place: TextPosition) -> Scalar:
    try:
        return scalar(event)
    except BadScalar as error:
        raise _Unreadable(place, str(error)) from None


def _syntax_error(error: yaml.MarkedYAMLError, text: str, line: int) -> _Unreadable:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return _Unreadable(TextPosition(line + 1, 1), f"is not YAML: {error.problem}")
    place = TextPosition(line + mark.line + 1, mark.column + 1)
    if conflict := _CONFLICT.search(text):
        return _Unreadable(_place_in(text, conflict.start(), line), "is not YAML: a conflict of a merge is left here")
    written = text.split("\n")[mark.line : mark.line + 1]
    if written and "\t" in written[0][: mark.column + 1]:
        return _Unreadable(place, "is not YAML: a tab indents this line, YAML takes spaces only")
    context = f", {error.context}" if error.context else ""
    return _Unreadable(place, f"is not YAML: {error.problem}{context}")


def _place_in(text: str, index: int, line: int) -> TextPosition:
    before = text[:index]
    return TextPosition(line + before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1)
