"""The README as a list of steps: the files that its reader writes, and the commands that they type."""

from __future__ import annotations

import re
from dataclasses import dataclass

_BLOCK = re.compile(r"(?:(?P<before>[^\n]+)\n)?\n```(?P<language>\w+)\n(?P<text>.*?\n)```", re.DOTALL)
_FILE = re.compile(r"`([\w-]+\.yaml)`")
_COMMENT = re.compile(r"\s{2,}# .*$")


@dataclass(frozen=True)
class File:
    """A file that the reader writes."""

    name: str
    text: str


@dataclass(frozen=True)
class Command:
    """A line that the reader types into a shell."""

    line: str


def steps(markdown: str) -> list[File | Command]:
    """In the order of the page: yaml blocks after a line that names a file, lines after `$` in console blocks."""
    found: list[File | Command] = []
    for block in _BLOCK.finditer(markdown):
        if block["language"] == "console":
            lines = [line[2:] for line in block["text"].splitlines() if line.startswith("$ ")]
            found += [Command(_COMMENT.sub("", line)) for line in lines]
        elif block["language"] == "yaml" and (named := _FILE.search(block["before"] or "")):
            found.append(File(named[1], block["text"]))
    return found
