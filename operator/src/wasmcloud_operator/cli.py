"""`kubectl wasmcloud` and `wasmcloud-operator`: two names of one program.

Each command imports what it needs when it is called: all of it at once takes three quarters of a second.
"""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from wasmcloud_operator.commands import looking, nats_options
from wasmcloud_operator.commands.looking import target, where, where_one_is
from wasmcloud_operator.commands.nats_options import NatsOptions
from wasmcloud_operator.commands.parser import PLUGIN, Commands, complete
from wasmcloud_operator.names import IP_FAMILIES, IpFamily

_SECTIONS = {
    "Look at what runs": ("status", "tree", "why", "doctor", "ui", "apps", "report"),
    "Before and after a change": ("check", "diff", "history", "rollback"),
    "Install and run": ("crds", "schema", "migrate", "run"),
}
_OUTPUT = click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="The form.")


def _print_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"wasmcloud-operator, version {version('wasmcloud-operator')}")
        context.exit()


@click.group(cls=Commands, sections=_SECTIONS, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Show the version."
)
def main() -> None:
    """Runs wasmCloud hosts and applications on Kubernetes, and shows what runs, where, and why not."""
    # Else the interpreter looks twice through all there is, before it ends: an eighth of a command's time.
    atexit.register(gc.freeze)


for _command in (looking.status, looking.tree, looking.why, looking.doctor, looking.ui, looking.report):
    main.add_command(_command)


@main.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(arguments: Sequence[str]) -> None:
    """Run the operator, in a cluster or from a kubeconfig (run --help lists the settings)."""
    # structlog loads rich wherever it is installed, 10 MB, for tracebacks with the values of local variables.
    sys.modules["rich"] = None  # type: ignore[assignment] # the import system's own mark for a module that is not there
    from wasmcloud_operator.commands.run import run_operator

    sys.exit(run_operator(arguments))


@main.command()
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", help="The form.")
def crds(output: str) -> None:
    """Print the CustomResourceDefinitions, for `kubectl apply --server-side -f -`."""
    from wasmcloud_operator.commands.crds import crd_list, crd_yaml
    from wasmcloud_operator_types import custom_resource_definitions

    found = custom_resource_definitions()
    click.echo(crd_list(found) if output == "json" else "---\n".join(map(crd_yaml, found)), nl=output == "json")


@main.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.option("--format", "form", type=click.Choice(["text", "json", "sarif", "github"]), default="text")
@click.option("--strict", is_flag=True, help="Count warnings as errors.")
@click.option("--skip-foreign", is_flag=True, help="Pass over files that hold nothing of wasmCloud, also broken ones.")
def check(paths: Sequence[str], form: str, strict: bool, skip_foreign: bool) -> None:
    """Check Applications and WasmCloudHostConfigs in files, folders and standard input (-).

    Exit status: 0 fine (warnings at most), 1 errors, 2 something that cannot be read.
    """
    from wasmcloud_operator.commands.check import check_paths
    from wasmcloud_operator.commands.checking.findings import FORMATS

    report = check_paths(paths, skip_foreign=skip_foreign, strict=strict)
    click.echo(FORMATS[form](report))
    sys.exit(report.exit_code)


@main.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(allow_dash=True))
@where_one_is
def diff(paths: Sequence[str], kubeconfig: Path | None, context: str | None, namespace: str) -> None:
    """Show what `kubectl apply` of files or folders would change, in the cluster and in wadm, without changing it.

    The API server computes it (dry run). Exit status, as of `kubectl diff`: 0 nothing, 1 something, 2 not known.
    """
    from wasmcloud_operator.commands.diff import Places, diff_screen
    from wasmcloud_operator.commands.overview.screens import default_namespace, show

    screen = diff_screen(paths, Places(namespace, default_namespace(kubeconfig, context)))
    sys.exit(show(screen, kubeconfig, context, named=namespace))


@main.command()
@click.argument("what", metavar="app/NAME")
@where_one_is
@_OUTPUT
def history(what: str, kubeconfig: Path | None, context: str | None, namespace: str, output: str) -> None:
    """List the versions of app/NAME that wadm keeps, the oldest first, as the Application's status has them.

    Exit status: 0 listed, 2 it is not there, or the cluster cannot be read.
    """
    _, name = target(what, ("application",))
    from wasmcloud_operator.commands.history import history_screen
    from wasmcloud_operator.commands.overview.screens import default_namespace, show

    screen = history_screen(name, namespace or default_namespace(kubeconfig, context), output)
    sys.exit(show(screen, kubeconfig, context, named=namespace))


@main.command()
@click.argument("what", metavar="app/NAME")
@click.option("--to", default="", help="The version; when left out, the last one before the deployed version.")
@click.option("--dry-run", is_flag=True, help="Let the API server judge it, and change nothing.")
@where_one_is
@nats_options.given
def rollback(
    what: str,
    to: str,
    dry_run: bool,
    kubeconfig: Path | None,
    context: str | None,
    namespace: str,
    nats: NatsOptions,
) -> None:
    """Put the content of a former version into app/NAME again. It is read from wadm, so NATS must be in reach.

    Refused where Argo CD, Flux or Helm owns the Application. Exit status: 0 done, 2 refused or out of reach.
    """
    _, name = target(what, ("application",))
    from wasmcloud_operator import logs
    from wasmcloud_operator.commands.history import rollback_screen
    from wasmcloud_operator.commands.overview.screens import default_namespace, show

    logs.configure("error", "auto")
    place = namespace or default_namespace(kubeconfig, context)
    screen = rollback_screen(name, place, to, nats, dry_run=dry_run)
    sys.exit(show(screen, kubeconfig, context, named=namespace))


@main.command()
@click.argument("kind", type=click.Choice(["WasmCloudHostConfig", "Application"], case_sensitive=False))
def schema(kind: str) -> None:
    """Print the JSON Schema of a kind, for editors that check YAML while it is written."""
    from wasmcloud_operator.commands.schema import schema_text

    click.echo(schema_text(kind), nl=False)


@main.command()
@click.argument("lattice", default="default")
@nats_options.given
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="A kubeconfig that knows the owners' cluster.")
@click.option("--context", help="The kubeconfig's context; the current one when left out.")
@_OUTPUT
def apps(lattice: str, nats: NatsOptions, kubeconfig: Path | None, context: str | None, output: str) -> None:
    """List the applications that wadm has in LATTICE, with the Application resource that each belongs to.

    Applications that `wash` deployed have no owner. An owner's cluster has its name where the kubeconfig leads to it,
    else its uid.
    Exit status: 0 listed, 2 NATS or wadm does not answer.
    """
    import asyncio

    from wasmcloud_operator import logs
    from wasmcloud_operator.commands.apps import ListedApp, as_json, list_apps, named_cluster, table
    from wasmcloud_operator.commands.overview import drawing
    from wasmcloud_operator.commands.printable import say
    from wasmcloud_operator.kube.credentials import Credentials
    from wasmcloud_operator.lattice.errors import LatticeError

    async def listed() -> tuple[list[ListedApp], Mapping[str, str]]:
        found = await list_apps(nats, lattice)
        return found, await named_cluster(Credentials(kubeconfig, context), found)

    logs.configure("error", "auto")
    try:
        found, names = asyncio.run(listed())
    except (LatticeError, OSError, UnicodeDecodeError) as error:
        say(f"cannot list the applications of lattice {lattice}: {error}", err=True)
        sys.exit(2)
    if output == "json":
        click.echo(as_json(found, names))
    else:
        drawing.on_stdout().tables([table(found, names)], [] if found else [f"wadm has none in lattice {lattice}"])


@main.command()
@click.option("--dry-run", is_flag=True, help="Show what will change, and change nothing.")
@where
@click.option("--ip-family", type=click.Choice(IP_FAMILIES), default="auto", help="As for run.")
@_OUTPUT
def migrate(
    dry_run: bool, kubeconfig: Path | None, context: str | None, namespace: str, ip_family: IpFamily, output: str
) -> None:
    """Come from the operator written in Rust: list what will change, and remove what is in the way.

    Exit status: 0 ready, 1 something has to be mended first, 2 the cluster cannot be read.
    """
    from wasmcloud_operator.commands.migrate import migration_screen
    from wasmcloud_operator.commands.overview.screens import show

    screen = migration_screen(namespace, ip_family, output, dry_run=dry_run)
    sys.exit(show(screen, kubeconfig, context, named=namespace))


def as_plugin() -> None:
    """Runs the program under the name that users of kubectl type."""
    main(prog_name=PLUGIN, complete_var="_KUBECTL_WASMCLOUD_COMPLETE")


def complete_for_kubectl() -> None:
    """Prints what kubectl asks of `kubectl_complete-wasmcloud`."""
    click.echo("\n".join(complete(main, sys.argv[1:])))
