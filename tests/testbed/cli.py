"""The testbed for a shell and a Makefile: build, up, down, status, run."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from testbed import background, stack
from testbed.build import BuildFailed, Progress, toolchain_problem
from testbed.cache import ensure, find
from testbed.components import COMPONENTS, GROUPS, Component, Toolchain, select
from testbed.process import ComponentFailed

T = TypeVar("T")

_DEFAULT_BUILD = ("core", "wadm")


class _Parts(click.ParamType[frozenset[str]]):
    name = "parts"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> frozenset[str]:
        if isinstance(value, frozenset):
            return value
        parts = frozenset(part.strip() for part in str(value).split(",") if part.strip())
        if unknown := parts - set(stack.PARTS):
            self.fail(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(stack.PARTS)}", param, ctx)
        return parts


_with = click.option(
    "--with",
    "parts",
    type=_Parts(),
    default="kwok,nats",
    show_default=True,
    help=f"What runs besides the control plane, of: {', '.join(stack.PARTS)}.",
)
_state = click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    default=".testbed",
    show_default=True,
    help="Folder of the testbed in the background.",
)
_nodes = click.option("--nodes", type=click.IntRange(0, 1000), default=3, show_default=True, help="Simulated nodes.")
_audit = click.option("--audit", is_flag=True, help="Log every request to the API server (TESTBED_AUDIT_LOG).")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Real components to test against: etcd, the Kubernetes control plane, kwok, NATS, wadm, the wasmCloud host."""


@main.command()
@click.argument("names", nargs=-1, metavar="[COMPONENT|GROUP]...")
@click.option("--list", "list_only", is_flag=True, help="Only say what is there and what would be built.")
def build(names: tuple[str, ...], list_only: bool) -> None:
    """Build what is missing (default: core wadm)."""
    try:
        components = select(list(names or (COMPONENTS if list_only else _DEFAULT_BUILD)))
    except KeyError as error:
        known = f"components: {', '.join(COMPONENTS)}; groups: {', '.join(GROUPS)}"
        raise click.UsageError(f"no such component: {error.args[0]}; {known}") from None
    if list_only:
        _list(components)
    else:
        _run(_build_missing(components))


@main.command()
@click.argument("name", type=click.Choice(sorted(COMPONENTS)))
def where(name: str) -> None:
    """Print the path of a component's program; ends with 1 when it is not there."""
    binary = find(COMPONENTS[name])
    if binary is None:
        raise click.ClickException(f"{name} is not built: build {name}")
    click.echo(binary.path)


@main.command()
@_with
@_state
@_nodes
@_audit
def up(parts: frozenset[str], state: Path, nodes: int, audit: bool) -> None:
    """Start a testbed in the background; does nothing when it runs."""
    folder = state.absolute()

    async def start() -> None:
        await _build_missing(stack.components_of(parts | {"control-plane"}))
        progress = Progress()
        started = await background.up(folder, parts, nodes=nodes, audit=audit, progress=progress)
        progress.say(f"the testbed {'is up' if started else 'runs already'}; to use it: source {state / 'env'}")

    _run(start())


@main.command()
@_state
def down(state: Path) -> None:
    """Stop the testbed in the background and remove its state."""
    progress = Progress()
    was_there = _run(background.down(state.absolute(), progress))
    progress.say("the testbed is down" if was_there else f"no testbed in {state}")


@main.command()
@_state
def status(state: Path) -> None:
    """Show the processes of the testbed in the background; ends with 1 when it is not all there."""
    known = background.State.load(state.absolute())
    if known is None:
        raise click.ClickException(f"no testbed in {state}")
    rows = {"supervisor": known.supervisor, **known.processes}
    for name, process in rows.items():
        click.echo(f"{name:<26}{'running' if process.alive else 'gone':<10}pid {process.pid}")
    if not known.processes or not all(process.alive for process in rows.values()):
        sys.exit(1)


@main.command(hidden=True)
@_with
@_state
@_nodes
@_audit
def serve(parts: frozenset[str], state: Path, nodes: int, audit: bool) -> None:
    """Hold a testbed until a signal ends it (what `up` starts)."""
    _run(background.serve(state.absolute(), parts, nodes=nodes, audit=audit))


@main.command(context_settings={"ignore_unknown_options": True})
@_with
@_nodes
@_audit
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(parts: frozenset[str], nodes: int, audit: bool, command: tuple[str, ...]) -> None:
    """Run a command with a testbed around it, and take the testbed down in any case: run --with nats -- CMD ARG..."""

    async def around() -> int:
        await _build_missing(stack.components_of(parts | {"control-plane"}))
        with tempfile.TemporaryDirectory(prefix="testbed-", ignore_cleanup_errors=True) as folder:
            async with stack.running(Path(folder), parts, nodes=nodes, audit=audit) as testbed:
                return await _command(command, testbed.env)

    sys.exit(_run(around()))


async def _command(command: Sequence[str], env: dict[str, str]) -> int:
    """Its exit code; it shares our terminal and process group, so Ctrl-C reaches it too."""
    process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **env})
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(15):
                    await process.wait()
            except TimeoutError:
                process.kill()


async def _build_missing(components: list[Component]) -> None:
    missing = [component for component in components if find(component) is None]
    if problems := dict.fromkeys(filter(None, map(toolchain_problem, missing))):
        raise click.ClickException("\n".join(problems))
    progress = Progress()
    if len(missing) > 1:
        total = sum(component.cold_seconds for component in missing)
        progress.say(
            f"{len(missing)} components to build, about {max(1, round(total / 60))} minutes; once, then cached"
        )
    try:
        async with asyncio.TaskGroup() as group:
            for toolchain in Toolchain:
                names = [component.name for component in missing if component.toolchain is toolchain]
                group.create_task(_build_in_turn(names, progress))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None


async def _build_in_turn(names: Sequence[str], progress: Progress) -> None:
    """The components of one toolchain: each takes all cores, so the other toolchain's fill the gaps between them."""
    for name in names:
        await ensure(name, progress)


def _list(components: list[Component]) -> None:
    for component in components:
        binary = find(component)
        where = f"{binary.origin.value}: {binary.path}" if binary else f"to build, about {component.cold_seconds} s"
        click.echo(f"{component.name:<26}{component.version:<10}{component.group:<6}{where}")


def _run(main_coroutine: Coroutine[Any, Any, T]) -> T:
    """Run to the end; SIGTERM and SIGHUP cancel as Ctrl-C does, and what was started is stopped."""

    async def cancellable() -> T:
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await main_coroutine

    try:
        return asyncio.run(cancellable())
    except asyncio.CancelledError:
        sys.exit(143)
    except KeyboardInterrupt:
        sys.exit(130)
    except (BuildFailed, ComponentFailed, background.StateProblem, subprocess.CalledProcessError) as error:
        raise click.ClickException(str(error)) from None
