"""The commands that look at a cluster: status, tree, why, doctor, ui.

Each imports what it needs when it is called, so that help and mistakes are answered at once.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from wasmcloud_operator.commands.overview.screens import Screen

Command = Callable[..., None]

# What a kind may be called, by what it is.
_KINDS = {
    "whc": "pool",
    "wasmcloudhostconfig": "pool",
    "wasmcloudhostconfigs": "pool",
    "pool": "pool",
    "app": "application",
    "application": "application",
    "applications": "application",
    "applications.core.oam.dev": "application",
    "svc": "service",
    "service": "service",
    "services": "service",
    "lattice": "lattice",
}
# Else the path to an object would lead to something else: `..` to all of its namespace.
_NAME = re.compile(r"[A-Za-z0-9]([-.A-Za-z0-9]*[A-Za-z0-9])?")
_WRITTEN = {"application": "app/NAME", "pool": "whc/NAME", "service": "svc/NAME", "lattice": "lattice/NAME"}


def which_cluster(command: Command) -> Command:
    """Adds the options that choose the cluster."""
    for option in (
        click.option("--kubeconfig", type=click.Path(path_type=Path), help="The kubeconfig file, as for kubectl."),
        click.option("--context", help="The kubeconfig's context; the current one when left out."),
    ):
        command = option(command)
    return command


def _in_namespace(text: str) -> Callable[[Command], Command]:
    """Returns what adds the options that choose the cluster and the namespace."""
    return lambda command: click.option("-n", "--namespace", default="", help=text)(which_cluster(command))


where = _in_namespace("The namespace; all of them when left out.")
where_seen = _in_namespace("The namespace; when left out all of them, or the context's where you may not list all.")
where_one_is = _in_namespace("The namespace; the context's when left out.")


@click.command()
@where_seen
@click.option("-A", "--all-namespaces", is_flag=True, help="All namespaces, in any case.")
@click.option("-o", "--output", type=click.Choice(["table", "wide", "json", "yaml"]), default="table")
@click.option("-w", "--watch", is_flag=True, help="Redraw every two seconds until Ctrl-C.")
def status(
    kubeconfig: Path | None, context: str | None, namespace: str, all_namespaces: bool, output: str, watch: bool
) -> None:
    """Show pools, lattices, applications and Services in one screen.

    Exit status: 0 all is fine, 1 something is not, 2 the cluster cannot be read.
    """
    if namespace and all_namespaces:
        raise click.UsageError("-n and -A exclude each other")
    from wasmcloud_operator.commands.overview.screens import show, show_within, status_screen

    def screen_of(chosen: str) -> Screen:
        return status_screen(chosen, output, watch=watch)

    if all_namespaces:
        sys.exit(show(screen_of(""), kubeconfig, context))
    sys.exit(show_within(namespace, screen_of, kubeconfig, context))


@click.command()
@click.argument("what", metavar="KIND/NAME")
@where_seen
def tree(what: str, kubeconfig: Path | None, context: str | None, namespace: str) -> None:
    """Show what hangs on app/NAME, whc/NAME or lattice/NAME: hosts, pods, nodes, Services, each with its state.

    Exit status: 0 shown, 2 it is not there, or the cluster cannot be read.
    """
    kind, name = target(what, ("application", "pool", "lattice"))
    from wasmcloud_operator.commands.overview.screens import show_within, tree_screen

    sys.exit(show_within(namespace, lambda chosen: tree_screen(kind, name, chosen), kubeconfig, context))


@click.command()
@click.argument("what", metavar="KIND/NAME")
@where_seen
def why(what: str, kubeconfig: Path | None, context: str | None, namespace: str) -> None:
    """Explain why app/NAME, whc/NAME or svc/NAME is not as it should be: the causes, the most distant first.

    Exit status: 0 nothing is wrong, 1 something is, 2 it is not there, or the cluster cannot be read.
    """
    kind, name = target(what, ("application", "pool", "service"))
    from wasmcloud_operator.commands.overview.screens import default_namespace, show_within, why_screen

    otherwise = default_namespace(kubeconfig, context)
    sys.exit(show_within(namespace, lambda chosen: why_screen(kind, name, chosen, otherwise), kubeconfig, context))


@click.command()
@where_seen
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port on 127.0.0.1; a free one by itself.")
@click.option("--open", "browser", is_flag=True, help="Open the page in the browser as well.")
def ui(kubeconfig: Path | None, context: str | None, namespace: str, port: int, browser: bool) -> None:
    """Show a live page of all this on 127.0.0.1, read-only, until Ctrl-C."""
    from wasmcloud_operator.commands.overview.screens import show_within
    from wasmcloud_operator.commands.page.server import page_screen

    sys.exit(show_within(namespace, lambda chosen: page_screen(chosen, port, browser=browser), kubeconfig, context))


@click.command()
@where_seen
def doctor(kubeconfig: Path | None, context: str | None, namespace: str) -> None:
    """Look at what the operator needs: the server, the CRDs, one leader, NATS and wadm, the clocks.

    Exit status: 0 fine, 1 something is wrong, 2 the cluster cannot be read, 3 nothing is seen to be wrong, but checks
    were not made for want of rights, which the last line names.
    """
    from wasmcloud_operator.commands.overview.doctor import doctor_screen
    from wasmcloud_operator.commands.overview.screens import show_within

    sys.exit(show_within(namespace, doctor_screen, kubeconfig, context))


@click.command()
@where_seen
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file; a new one by default.")
def report(kubeconfig: Path | None, context: str | None, namespace: str, output: Path | None) -> None:
    """Write a zip for an issue: objects, Events, logs, versions and metrics, without secrets.

    No Secret is read, and known shapes of secrets are blacked out. Look at it all the same before it leaves your hands.
    Exit status: 0 written, 1 written, but something could not be read (missing.txt), 2 not written.
    """
    from wasmcloud_operator.commands.overview.screens import show_within
    from wasmcloud_operator.commands.report import report_screen

    sys.exit(show_within(namespace, lambda chosen: report_screen(chosen, output), kubeconfig, context))


def target(what: str, allowed: tuple[str, ...]) -> tuple[str, str]:
    """Returns kind and name of KIND/NAME. Raises click.UsageError for one that the command does not take."""
    kind, slash, name = what.partition("/")
    found = _KINDS.get(kind.lower(), "")
    if not (slash and name and found in allowed):
        raise click.UsageError(f"{what!r}: write {' or '.join(_WRITTEN[kind] for kind in allowed)}")
    if found != "lattice" and not _NAME.fullmatch(name):
        reason = "no object of Kubernetes has such a name"
        raise click.UsageError(f"{what!r}: {reason}{': choose the namespace with -n' if '/' in name else ''}")
    return found, name
