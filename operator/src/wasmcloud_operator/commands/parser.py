"""The one parser of all commands: help in groups, and completion, also for `kubectl wasmcloud`."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

PLUGIN = "kubectl wasmcloud"


class Commands(click.Group):
    """A group whose help lists the commands by purpose, each with its whole first sentence."""

    def __init__(self, *arguments: Any, sections: Mapping[str, Sequence[str]], **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._sections = sections

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; Ctrl-C ends it in silence with 130, as of a shell: 1 is an answer of several commands."""
        _take_any_text()
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(130)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes a section for each purpose."""
        for title, names in self._sections.items():
            with formatter.section(title):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(limit=1000)) for name in names])


def _take_any_text() -> None:
    """Lets what is printed be more than the locale's encoding has, and a closed standard output take it."""
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the program ends
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def complete(commands: click.Group, arguments: Sequence[str]) -> list[str]:
    """Returns the completions of the last argument in the form that kubectl asks of `kubectl_complete-wasmcloud`.

    Each is on a line with its description behind a tab; the last line is the directive: 4 for no file names, 0 for
    those where there is nothing else.
    """
    from click.shell_completion import ShellComplete

    *before, incomplete = arguments or [""]
    found = ShellComplete(commands, {}, PLUGIN, "").get_completions(list(before), incomplete)
    lines = [f"{item.value}\t{item.help}" if item.help else str(item.value) for item in found if item.type == "plain"]
    return [*lines, ":0" if len(lines) < len(found) else ":4"]
