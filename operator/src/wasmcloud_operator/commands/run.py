"""`wasmcloud-operator run`: settings, logging, traces, signals, and the operator itself."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from importlib.metadata import version

import click
from pydantic import ValidationError

from wasmcloud_operator import logs
from wasmcloud_operator.kube.tracing import Span, tracing
from wasmcloud_operator.operator import Operator
from wasmcloud_operator.settings import Settings, unknown_variables


def run_operator(arguments: Sequence[str]) -> int:
    """Run until a signal to stop. Returns the exit code: 2 for settings that make no sense."""
    try:
        settings = Settings.from_arguments(arguments)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_context=False):
            name = "-".join(str(part) for part in problem["loc"]).replace("_", "-")
            click.echo(f"--{name} (WASMCLOUD_OPERATOR_{name.replace('-', '_').upper()}): {problem['msg']}", err=True)
        return 2
    if unknown := unknown_variables(os.environ):
        click.echo("\n".join(unknown), err=True)
        return 2
    logs.configure(settings.log_level, settings.log_format)
    # Outside the event loop, since sending the last spans blocks.
    with tracing("wasmcloud-operator", version("wasmcloud-operator")) as span:
        try:
            import uvloop  # noqa: PLC0415 - optional: a raw GET takes half the time with it
        except ImportError:
            return asyncio.run(_until_stopped(settings, span))
        return uvloop.run(_until_stopped(settings, span))


async def _until_stopped(settings: Settings, span: Span) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    return await Operator(settings, span=span).run(stop)
