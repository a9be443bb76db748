"""`kubectl wasmcloud`: the commands status, tree, why and doctor, also under `wasmcloud-operator`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import click
import yaml

from wasmcloud_operator.commands.overview import doctor, snapshot, status, tree, why
from wasmcloud_operator.kube.client import Client
from wasmcloud_operator.kube.credentials import Credentials
from wasmcloud_operator.kube.errors import KubeError
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.transport import ConnectionOptions, Transport

Command = Callable[..., None]

_USER_AGENT = "kubectl-wasmcloud"
_REDRAW_SECONDS = 2.0
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


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """See what runs of wasmCloud in this cluster, where, and why not."""


def _where(command: Command) -> Command:
    """Adds the options that say which cluster and which namespaces."""
    for option in (
        click.option("--kubeconfig", type=click.Path(path_type=Path), help="The kubeconfig file, as for kubectl."),
        click.option("--context", help="The kubeconfig's context; the current one when left out."),
        click.option("-n", "--namespace", default="", help="The namespace; all of them when left out."),
    ):
        command = option(command)
    return command


@main.command("status")
@_where
@click.option("-A", "--all-namespaces", is_flag=True, help="All namespaces, as when none is named.")
@click.option("-o", "--output", type=click.Choice(["table", "wide", "json", "yaml"]), default="table")
@click.option("-w", "--watch", is_flag=True, help="Redraw every two seconds until Ctrl-C.")
def show_status(
    kubeconfig: Path | None, context: str | None, namespace: str, all_namespaces: bool, output: str, watch: bool
) -> None:
    """Show pools, lattices, applications and Services in one screen.

    Exit status: 0 all is fine, 1 something is not, 2 the cluster cannot be read.
    """
    if namespace and all_namespaces:
        raise click.UsageError("-n and -A exclude each other")

    async def show(client: Client) -> int:
        while True:
            found = status.report(await snapshot.take(client, namespace))
            if watch:
                click.clear()
            click.echo(_rendered(found, output))
            if not watch:
                return 0 if found.fine else 1
            await asyncio.sleep(_REDRAW_SECONDS)

    sys.exit(_with_client(kubeconfig, context, show))


@main.command("tree")
@click.argument("what", metavar="KIND/NAME")
@_where
def show_tree(what: str, kubeconfig: Path | None, context: str | None, namespace: str) -> None:
    """Show what hangs on app/NAME, whc/NAME or lattice/NAME: hosts, pods, nodes, Services, each with its state."""
    kind, name = _target(what, ("application", "pool", "lattice"))

    async def show(client: Client) -> int:
        seen = await snapshot.take(client, namespace)
        if kind == "lattice":
            branch = tree.of_lattice(name, seen)
        elif kind == "pool":
            branch = tree.of_pool(_find(seen.pools, what, name), seen)
        else:
            branch = tree.of_application(_find(seen.applications, what, name), seen)
        click.echo("\n".join(branch.lines()))
        return 0

    sys.exit(_with_client(kubeconfig, context, show))


@main.command("why")
@click.argument("what", metavar="KIND/NAME")
@_where
def show_why(what: str, kubeconfig: Path | None, context: str | None, namespace: str) -> None:
    """Explain why app/NAME, whc/NAME or svc/NAME is not as it should be: the causes, the most distant first.

    Exit status: 0 nothing is wrong, 1 something is, 2 the cluster cannot be read.
    """
    kind, name = _target(what, ("application", "pool", "service"))

    async def show(client: Client) -> int:
        seen = await snapshot.take(client, namespace)
        if kind == "pool":
            causes = why.of_pool(_find(seen.pools, what, name), seen)
        elif kind == "service":
            causes = why.of_service(namespace or "default", name, seen)
        else:
            causes = why.of_application(_find(seen.applications, what, name), seen)
        click.echo("\n".join(f"{number}. {cause}" for number, cause in enumerate(causes, 1)) or f"{what} is fine")
        return 1 if causes else 0

    sys.exit(_with_client(kubeconfig, context, show))


@main.command("doctor")
@_where
def show_doctor(kubeconfig: Path | None, context: str | None, namespace: str) -> None:
    """Look at what the operator needs: the server, the CRDs, one leader, NATS and wadm, the clocks.

    Exit status: 0 fine, 1 something is wrong, 2 the cluster cannot be read.
    """

    async def show(client: Client) -> int:
        findings = await doctor.examine(client, await snapshot.take(client, namespace))
        click.echo("\n".join(map(str, findings)))
        return doctor.worst(findings)

    sys.exit(_with_client(kubeconfig, context, show))


def _with_client(kubeconfig: Path | None, context: str | None, action: Callable[[Client], Awaitable[int]]) -> int:
    """Returns the exit status of an action on the cluster; 2 with the reason where it cannot be read."""

    async def run() -> int:
        options = ConnectionOptions(credentials=Credentials(kubeconfig, context), user_agent=_USER_AGENT)
        async with Transport.open(options) as transport:
            return await action(Client(transport, field_manager=_USER_AGENT))

    try:
        return asyncio.run(run())
    except (KubeError, OSError) as error:
        click.echo(f"cannot read the cluster: {error}", err=True)
        return 2
    except KeyboardInterrupt:
        return 130


def _rendered(found: status.Report, output: str) -> str:
    if output == "json":
        return json.dumps(found.as_json(), indent=2)
    if output == "yaml":
        return yaml.safe_dump(json.loads(json.dumps(found.as_json())), sort_keys=False)
    return "\n".join([*status.lines(found, wide=output == "wide"), status.summary(found)])


def _target(what: str, allowed: tuple[str, ...]) -> tuple[str, str]:
    """Returns kind and name of KIND/NAME. Raises click.UsageError for one that the command does not take."""
    kind, slash, name = what.partition("/")
    found = _KINDS.get(kind.lower(), "")
    if not (slash and name and found in allowed):
        shown = {"application": "app/NAME", "pool": "whc/NAME", "service": "svc/NAME", "lattice": "lattice/NAME"}
        raise click.UsageError(f"{what!r}: write {' or '.join(shown[kind] for kind in allowed)}")
    return found, name


def _find(items: tuple[CustomResource, ...], what: str, name: str) -> CustomResource:
    """Returns the one of that name. Raises click.UsageError for none, or for several in several namespaces."""
    found = [item for item in items if item.metadata.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        places = ", ".join(item.metadata.namespace for item in found)
        raise click.UsageError(f"{what} is in several namespaces: choose with -n one of {places}")
    known = ", ".join(str(item.metadata.key) for item in items[:10]) or "none"
    raise click.UsageError(f"there is no {what}; there are: {known}")
