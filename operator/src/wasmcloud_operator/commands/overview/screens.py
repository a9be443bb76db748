"""What each command of `kubectl wasmcloud` reads and prints, and the exit status that it ends with."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import click
import yaml

from wasmcloud_operator.base.printable import printable
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.commands.overview import drawing, status, tree, why
from wasmcloud_operator.commands.overview.details import with_details
from wasmcloud_operator.commands.overview.snapshot import Snapshot, lattice_of, services_of, take
from wasmcloud_operator.commands.overview.tables import some
from wasmcloud_operator.commands.printable import say
from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube import credentials
from wasmcloud_operator.kube.client import Reader, Writer
from wasmcloud_operator.kube.codec import CUSTOM_RESOURCE
from wasmcloud_operator.kube.credentials import Credentials
from wasmcloud_operator.kube.errors import Forbidden, KubeError, NotFound
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.resources import NAMESPACE, SERVICE, Key, Resource
from wasmcloud_operator.kube.transport import ConnectionOptions, Transport
from wasmcloud_operator.names import NAMESPACE_NAME


class NotThere(Exception):
    """What a command is to look at is not there, or cannot be seen."""


Screen = Callable[[Reader], Awaitable[int]]

_USER_AGENT = "kubectl-wasmcloud"
_REDRAW_SECONDS = 2.0
_SHOWN = 10


def show(screen: Screen, kubeconfig: Path | None, context: str | None, *, named: str = "") -> int:
    """Returns the exit status of a screen of the cluster; 2 with the reason where the cluster cannot be read.

    A namespace that the user has named and that does not exist is a mistake, for every command: what is listed there
    would look like an empty namespace.
    """

    async def run() -> int:
        options = ConnectionOptions(credentials=Credentials(kubeconfig, context), user_agent=_USER_AGENT)
        async with Transport.open(options) as transport:
            client = Reader(transport)
            if named:
                await _assert_exists(client, named)
            return await screen(client)

    try:
        return asyncio.run(run())
    except NotThere as error:
        say(str(error), err=True)
        return 2
    except BrokenPipeError:
        raise  # who reads the output has seen enough: click ends such a command in silence
    except (KubeError, OSError) as error:
        say(f"cannot read the cluster: {error}", err=True)
        return 2


def show_within(
    namespace: str, screen_of: Callable[[str], Screen], kubeconfig: Path | None, context: str | None
) -> int:
    """Returns the exit status of the screen of a namespace, as `show` does; of all namespaces where none is named.

    Who may not list all of them sees the context's.
    """

    async def screen(client: Reader) -> int:
        chosen = namespace
        if not namespace and not await _lists_all(client):
            chosen = default_namespace(kubeconfig, context)
            text = "you have no right to list host configs and Applications in all namespaces"
            say(f"{text}: this is namespace {chosen} (-n chooses another)", err=True)
        return await screen_of(chosen)(client)

    return show(screen, kubeconfig, context, named=namespace)


async def _assert_exists(client: Reader, namespace: str) -> None:
    if not NAMESPACE_NAME.fullmatch(namespace):  # of which a path may make another one
        raise NotThere(f"there is no namespace {namespace}")
    with contextlib.suppress(Forbidden):
        if await client.find(NAMESPACE, Key("", namespace)) is None:
            raise NotThere(f"there is no namespace {namespace}")


async def _lists_all(client: Reader) -> bool:
    for resource in (HOST_CONFIG, APPLICATION):
        try:
            await client.list_page(resource, CUSTOM_RESOURCE, query=[("limit", "1")])
        except Forbidden:
            continue
        except NotFound:
            pass  # the kind is not installed, which is a matter of no namespace
        return True
    return False


def default_namespace(kubeconfig: Path | None, context: str | None) -> str:
    """Returns the namespace of an object whose user names none, as kubectl chooses it."""
    try:
        return credentials.default_namespace(Credentials(kubeconfig, context))
    except KubeError:
        return "default"  # what is wrong with the kubeconfig is reported where it is used


def by_hand(reader: Reader) -> Writer:
    """Returns what writes for the user of a command: no lease is asked."""
    return Writer(reader, field_manager=_USER_AGENT, gate=AlwaysOpen())


def status_screen(namespace: str, output: str, *, watch: bool) -> Screen:
    """Returns the screen of `status`: one table a kind, or JSON or YAML; drawn again and again with `watch`.

    What is drawn stays while the API server is out of reach.
    """

    async def screen(client: Reader) -> int:
        drawn = False
        while True:
            try:
                found = status.report(await take(client, namespace))
            except KubeError as error:
                if not drawn:
                    raise
                say(f"this may be out of date: {error}", err=True)
            else:
                if watch:
                    click.clear()
                _draw(found, output)
                drawn = True
                if not watch:
                    return 0 if found.fine else 1
            await asyncio.sleep(_REDRAW_SECONDS)

    return screen


def tree_screen(kind: str, name: str, namespace: str) -> Screen:
    """Returns the screen of `tree` for an application, a pool or a lattice."""

    async def screen(client: Reader) -> int:
        seen = await _taken(client, namespace)
        if kind == "lattice":
            branch = tree.of_lattice(_known_lattice(name, seen), seen)
        elif kind == "pool":
            branch = tree.of_pool(_find(HOST_CONFIG, name, seen), seen)
        else:
            branch = tree.of_application(_find(APPLICATION, name, seen), seen)
        drawing.on_stdout().tree(branch)
        return 0

    return screen


def why_screen(kind: str, name: str, namespace: str, otherwise: str) -> Screen:
    """Returns the screen of `why` for an application, a pool or a Service.

    A Service of which no Application knows is looked for in the namespace `otherwise` where none is named.
    """

    async def screen(client: Reader) -> int:
        seen = await _taken(client, namespace)
        if kind == "pool":
            pool = _find(HOST_CONFIG, name, seen)
            causes = why.of_pool(pool, await _detailed(client, seen))
        elif kind == "service":
            service = Key(await _place_of_service(client, name, namespace, otherwise, seen), name)
            causes = why.of_service(service, await _detailed(client, seen, service))
        else:
            application = _find(APPLICATION, name, seen)
            causes = why.of_application(application, await _detailed(client, seen, *services_of(application)))
        listed = "\n".join(f"{number}. {cause}" for number, cause in enumerate(causes, 1))
        click.echo(listed or f"{kind} {name} is fine")
        return 1 if causes else 0

    return screen


def _draw(found: status.StatusReport, output: str) -> None:
    if output == "json":
        click.echo(json.dumps(found.as_json(), indent=2))
    elif output == "yaml":
        click.echo(yaml.safe_dump(json.loads(json.dumps(found.as_json())), sort_keys=False))
    else:
        drawing.on_stdout().tables(
            status.tables(found, wide=output == "wide"), list(map(printable, status.notes(found)))
        )


async def _taken(client: Reader, namespace: str) -> Snapshot:
    """Reads what there is, and names on standard error what cannot be read: the cause may be there."""
    seen = await take(client, namespace)
    _name_unreadable(seen.unreadable)
    return seen


async def _detailed(client: Reader, seen: Snapshot, *services: Key) -> Snapshot:
    found = await with_details(client, seen, services)
    _name_unreadable({kind: reason for kind, reason in found.unreadable.items() if kind not in seen.unreadable})
    return found


def _name_unreadable(kinds: Mapping[str, str]) -> None:
    for kind, reason in kinds.items():
        say(f"cannot be looked at: {kind}: {reason}", err=True)


def _find(resource: Resource, name: str, seen: Snapshot) -> CustomResource:
    """Returns the one of that name. Raises NotThere for none, or for several in several namespaces."""
    items = seen.pools if resource is HOST_CONFIG else seen.applications
    found = [item for item in items if item.metadata.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise NotThere(_in_several(f"{resource.kind} {name}", [item.metadata.namespace for item in found]))
    if str(resource) in seen.unreadable:
        raise NotThere(f"{resource.kind} {name} cannot be seen")
    raise NotThere(
        f"there is no {resource.kind} {name}; there are: {some([str(item.metadata.key) for item in items], _SHOWN)}"
    )


def _known_lattice(name: str, seen: Snapshot) -> str:
    if seen.pools_in(name) or seen.applications_in(name):
        return name
    known = sorted({lattice_of(pool) for pool in seen.pools})
    raise NotThere(f"nothing that you can read is in a lattice {name}; there are: {some(known, _SHOWN)}")


async def _place_of_service(client: Reader, name: str, namespace: str, otherwise: str, seen: Snapshot) -> str:
    """Returns the namespace of a Service: the one that is named, or where Applications have one of that name."""
    places = {place for app in seen.applications for place, service in services_of(app) if service == name}
    if not namespace and len(places) > 1:
        raise NotThere(_in_several(f"Service {name}", sorted(places)))
    chosen = namespace or next(iter(places), otherwise)
    if chosen not in places:
        with contextlib.suppress(Forbidden):
            if await client.find(SERVICE, Key(chosen, name)) is None:
                raise NotThere(f"there is no Service {chosen}/{name}")
    return chosen


def _in_several(what: str, places: Sequence[str]) -> str:
    return f"{what} is in several namespaces: choose with -n one of {', '.join(places)}"
