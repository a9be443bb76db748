"""The files that `check` reads: those named, those of folders, and standard input."""

from __future__ import annotations

import codecs
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

STDIN = "-"
SUFFIXES = (".yaml", ".yml", ".json")
MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SourceFile:
    """The text of one file."""

    name: str
    text: str
    named: bool
    """False for a file that was found in a folder."""


@dataclass(frozen=True, slots=True)
class UnreadableFile:
    """A file or folder that cannot be read, and why."""

    name: str
    message: str


@dataclass(frozen=True, slots=True)
class EmptyFolder:
    """A folder without any file to read."""

    name: str


def sources(paths: Iterable[str]) -> Iterator[SourceFile | UnreadableFile | EmptyFolder]:
    """Yields what is at the paths, folders with all folders in them, each file once."""
    for path in dict.fromkeys(paths):
        if path == STDIN:
            yield _read("<stdin>", named=True)
        elif Path(path).is_dir():
            yield from _folder(path)
        else:
            yield _read(path, named=True)


def _folder(path: str) -> Iterator[SourceFile | UnreadableFile | EmptyFolder]:
    """Links to folders are not followed, as with kubectl: they may lead back. Hidden folders are no manifests."""
    faults: list[OSError] = []
    found = False
    for folder, folders, files in os.walk(path, onerror=faults.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            file = Path(folder, name)
            if file.suffix.lower() in SUFFIXES and not name.startswith(".") and _is_file(file):
                found = True
                yield _read(str(file), named=False)
    for fault in faults:
        yield UnreadableFile(str(fault.filename), f"cannot be read: {fault.strerror}")
    if not found and not faults:
        yield EmptyFolder(path)


def _is_file(path: Path) -> bool:
    """Whether to read it: a pipe would hold up the walk for ever; what cannot be examined is reported by reading it."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True


def _read(name: str, *, named: bool) -> SourceFile | UnreadableFile:
    try:
        content = _content(name)
        if len(content) > MOST_BYTES:
            return UnreadableFile(name, f"has more than {MOST_BYTES:,} bytes")
        return SourceFile(name, _decoded(content), named)
    except UnicodeDecodeError as error:
        return UnreadableFile(name, f"is not text in UTF-8 (byte {error.start + 1}): is it a binary file?")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return UnreadableFile(name, f"cannot be read: {reason or error}")


def _decoded(content: bytes) -> str:
    """Returns the text as kubectl reads it: UTF-8, or UTF-16 with its mark, which Windows' shell writes."""
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if utf16 else "utf-8-sig")


def _content(name: str) -> bytes:
    if name == "<stdin>":
        return sys.stdin.buffer.read(MOST_BYTES + 1)
    with Path(name).open("rb") as file:
        return file.read(MOST_BYTES + 1)
