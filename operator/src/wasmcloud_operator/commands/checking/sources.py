"""The files that `check` reads: those named, those of folders, and standard input."""

from __future__ import annotations

import errno
import glob
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from wasmcloud_operator.commands.checking.kustomize import Patches, decoded

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

    patch: bool
    """Whether a kustomization names it as a patch: a part of an object, which kustomize puts into a whole one."""


@dataclass(frozen=True, slots=True)
class UnreadableFile:
    """A file or folder that cannot be read, and why."""

    name: str
    message: str


@dataclass(frozen=True, slots=True)
class EmptyFolder:
    """A folder without any file to read."""

    name: str


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a file is to be read from."""

    path: str
    named: bool


def sources(paths: Iterable[str]) -> Iterator[SourceFile | UnreadableFile | EmptyFolder]:
    """Yields what is at the paths, folders with all folders in them, each file once."""
    patches = Patches()
    read: set[str] = set()
    for found in _found(paths):
        if not isinstance(found, _Place):
            yield found
        elif (place := found.path if found.path == STDIN else str(Path(found.path).absolute())) not in read:
            read.add(place)
            yield _read(found, patches)


def _found(paths: Iterable[str]) -> Iterator[_Place | UnreadableFile | EmptyFolder]:
    """What is no file may be a pattern, which kubectl expands where the shell has not."""
    for path in paths:
        there = path == STDIN or os.path.lexists(path)
        for match in [path] if there else sorted(glob.glob(path)) or [path]:  # noqa: PTH207 - Path takes no absolute one
            if _is_folder(match):
                yield from _folder(match)
            else:
                yield _Place(match, named=True)


def _folder(path: str) -> Iterator[_Place | UnreadableFile | EmptyFolder]:
    """Links to folders are not followed, as with kubectl: they may lead back. Hidden folders are no manifests."""
    faults: list[OSError] = []
    found = False
    for folder, folders, files in os.walk(path, onerror=faults.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            file = Path(folder, name)
            if file.suffix.lower() in SUFFIXES and not name.startswith(".") and _is_file(file):
                found = True
                yield _Place(str(file), named=False)
    for fault in faults:
        yield UnreadableFile(_shown(str(fault.filename)), f"cannot be read: {fault.strerror}")
    if not found and not faults:
        yield EmptyFolder(_shown(path))


def _is_folder(path: str) -> bool:
    """What cannot be examined is reported by reading it: somebody's whole manifest is too long for a name."""
    try:
        return path not in ("", STDIN) and Path(path).is_dir()
    except OSError:
        return False


def _is_file(path: Path) -> bool:
    """Whether to read it: a pipe would hold up the walk for ever; what cannot be examined is reported by reading it."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True


def _read(place: _Place, patches: Patches) -> SourceFile | UnreadableFile:
    name = "<stdin>" if place.path == STDIN else _shown(place.path)
    try:
        content = _content(place.path)
        if len(content) > MOST_BYTES:
            return UnreadableFile(name, f"has more than {MOST_BYTES:,} bytes")
        return SourceFile(name, decoded(content), place.named, _is_patch(place.path, patches))
    except UnicodeDecodeError as error:
        return UnreadableFile(name, f"is not text in UTF-8 (byte {error.start + 1}): is it a binary file?")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return UnreadableFile(name, f"cannot be read: {reason or error}")


def _is_patch(path: str, patches: Patches) -> bool:
    return path != STDIN and patches.hold(Path(path))


def _content(path: str) -> bytes:
    if path != STDIN:
        with Path(path).open("rb") as file:
            return file.read(MOST_BYTES + 1)
    if sys.stdin is None:
        raise OSError(errno.EBADF, "it is closed")
    return sys.stdin.buffer.read(MOST_BYTES + 1)


def _shown(path: str) -> str:
    """Returns the path as text: bytes of a name that are none have no form in JSON or in a URI."""
    return os.fsencode(path).decode(errors="backslashreplace")
