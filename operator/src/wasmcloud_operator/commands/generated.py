"""Files that are generated from the code: written, or compared with what is there."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path


def write(files: Mapping[str, str], folder: Path) -> None:
    """Writes each text under its path below the folder; folders that are missing are made."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def drift(files: Mapping[str, str], source: str, folder: Path) -> list[str]:
    """Returns a sentence for each file that is missing, or differs from its source."""
    problems = []
    for name, text in files.items():
        path = folder / name
        if not path.exists():
            problems.append(f"{path} is missing: run `make manifests`")
        elif path.read_text(encoding="utf-8") != text:
            problems.append(f"{path} differs from {source}: run `make manifests`")
    return problems


def main(
    module: str,
    files: Mapping[str, str],
    folder: Path,
    problems: Callable[[Path], list[str]],
    arguments: list[str] | None = None,
) -> int:
    """Writes the files below `folder` or the one that is named; with --check prints the problems instead.

    Returns the exit code: 1 where there are problems.
    """
    parser = argparse.ArgumentParser(prog=f"python -m wasmcloud_operator.commands.{module}")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is out of date")
    parser.add_argument("folder", nargs="?", type=Path, default=folder)
    options = parser.parse_args(arguments)
    if not options.check:
        write(files, options.folder)
        return 0
    found = problems(options.folder)
    sys.stdout.writelines(f"{problem}\n" for problem in found)
    return 1 if found else 0
