"""What each command of `kubectl wasmcloud` reads and prints, and the exit status that it ends with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import click
import yaml

from wasmcloud_operator.commands.overview import drawing, status, tree, why
from wasmcloud_operator.commands.overview.snapshot import take
from wasmcloud_operator.kube.client import AlwaysOpen, Reader, Writer
from wasmcloud_operator.kube.credentials import Credentials
from wasmcloud_operator.kube.errors import KubeError
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.transport import ConnectionOptions, Transport

Screen = Callable[[Reader], Awaitable[int]]

_USER_AGENT = "kubectl-wasmcloud"
_REDRAW_SECONDS = 2.0


def show(screen: Screen, kubeconfig: Path | None, context: str | None) -> int:
    """Returns the exit status of a screen of the cluster; 2 with the reason where the cluster cannot be read."""

    async def run() -> int:
        options = ConnectionOptions(credentials=Credentials(kubeconfig, context), user_agent=_USER_AGENT)
        async with Transport.open(options) as transport:
            return await screen(Reader(transport))

    try:
        return asyncio.run(run())
    except (KubeError, OSError) as error:
        click.echo(f"cannot read the cluster: {error}", err=True)
        return 2
    except KeyboardInterrupt:
        return 130


def by_hand(reader: Reader) -> Writer:
    """Returns what writes for the user of a command: no lease is asked."""
    return Writer(reader, field_manager=_USER_AGENT, gate=AlwaysOpen())


def status_screen(namespace: str, output: str, *, watch: bool) -> Screen:
    """Returns the screen of `status`: one table a kind, or JSON or YAML; drawn again and again with `watch`."""

    async def screen(client: Reader) -> int:
        while True:
            found = status.report(await take(client, namespace))
            if watch:
                click.clear()
            _draw(found, output)
            if not watch:
                return 0 if found.fine else 1
            await asyncio.sleep(_REDRAW_SECONDS)

    return screen


def tree_screen(kind: str, name: str, namespace: str) -> Screen:
    """Returns the screen of `tree` for an application, a pool or a lattice."""

    async def screen(client: Reader) -> int:
        seen = await take(client, namespace)
        if kind == "lattice":
            branch = tree.of_lattice(name, seen)
        elif kind == "pool":
            branch = tree.of_pool(_find(seen.pools, kind, name), seen)
        else:
            branch = tree.of_application(_find(seen.applications, kind, name), seen)
        drawing.on_stdout().tree(branch)
        return 0

    return screen


def why_screen(kind: str, name: str, namespace: str) -> Screen:
    """Returns the screen of `why` for an application, a pool or a Service."""

    async def screen(client: Reader) -> int:
        seen = await take(client, namespace)
        if kind == "pool":
            causes = why.of_pool(_find(seen.pools, kind, name), seen)
        elif kind == "service":
            causes = why.of_service(namespace or "default", name, seen)
        else:
            causes = why.of_application(_find(seen.applications, kind, name), seen)
        listed = "\n".join(f"{number}. {cause}" for number, cause in enumerate(causes, 1))
        click.echo(listed or f"{kind} {name} is fine")
        return 1 if causes else 0

    return screen


def _draw(found: status.Report, output: str) -> None:
    if output == "json":
        click.echo(json.dumps(found.as_json(), indent=2))
    elif output == "yaml":
        click.echo(yaml.safe_dump(json.loads(json.dumps(found.as_json())), sort_keys=False))
    else:
        drawing.on_stdout().tables(status.tables(found, wide=output == "wide"), status.notes(found))


def _find(items: tuple[CustomResource, ...], kind: str, name: str) -> CustomResource:
    """Returns the one of that name. Raises click.UsageError for none, or for several in several namespaces."""
    found = [item for item in items if item.metadata.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        places = ", ".join(item.metadata.namespace for item in found)
        raise click.UsageError(f"{kind} {name} is in several namespaces: choose with -n one of {places}")
    known = ", ".join(str(item.metadata.key) for item in items[:10]) or "none"
    raise click.UsageError(f"there is no {kind} {name}; there are: {known}")
