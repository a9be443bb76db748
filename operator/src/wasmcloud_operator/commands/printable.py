"""What others have written, as it may be shown: at a terminal a text can be a command."""

from __future__ import annotations

import click

from wasmcloud_operator.base.jsontypes import Json
from wasmcloud_operator.base.printable import printable


def printable_json(value: Json) -> Json:
    """Returns a value with every text in it printable, and every key."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable(key): printable_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [printable_json(inner) for inner in value]
    return value


def say(*lines: str, err: bool = False) -> None:
    """Prints each text on a line of its own, on standard output or (`err`) standard error."""
    click.echo("\n".join(map(printable, lines)), err=err)
