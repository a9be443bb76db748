"""The commands of `wasmcloud-operator`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from wasmcloud_operator.commands import kubectl
from wasmcloud_operator.lattice.subjects import DEFAULT_WADM_PREFIX
from wasmcloud_operator.names import IP_FAMILIES, IpFamily

# Each command imports what it needs when it is called: all of it at once takes three quarters of a second.


def _print_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"wasmcloud-operator, version {version('wasmcloud-operator')}")
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Show the version."
)
def main() -> None:
    """Runs wasmCloud hosts and applications on Kubernetes."""


for command in kubectl.main.commands.values():
    main.add_command(command)


@main.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(arguments: Sequence[str]) -> None:
    """Run the operator, in a cluster or from a kubeconfig (run --help lists the settings)."""
    from wasmcloud_operator.commands.run import run_operator

    sys.exit(run_operator(arguments))


@main.command()
def crds() -> None:
    """Print the CustomResourceDefinitions, for `kubectl apply --server-side -f -`."""
    from wasmcloud_operator.commands.crds import crd_yaml
    from wasmcloud_operator_types import custom_resource_definitions

    click.echo("---\n".join(crd_yaml(crd) for crd in custom_resource_definitions()), nl=False)


@main.command()
@click.argument("kind", type=click.Choice(["WasmCloudHostConfig", "Application"], case_sensitive=False))
def schema(kind: str) -> None:
    """Print the JSON Schema of a kind, for editors that check YAML while it is written."""
    from wasmcloud_operator.commands.schema import schema_text

    click.echo(schema_text(kind), nl=False)


@main.command()
@click.argument("lattice", default="default")
@click.option("--nats", default="nats://127.0.0.1:4222", envvar="NATS_URL", show_default=True, help="NATS address.")
@click.option("--creds", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A NATS creds file.")
@click.option("--wadm-prefix", default=DEFAULT_WADM_PREFIX, show_default=True, help="How wadm's subjects begin.")
def apps(lattice: str, nats: str, creds: Path | None, wadm_prefix: str) -> None:
    """List the applications that wadm has in LATTICE, with the Application resource that each belongs to.

    Those of `wash` have no owner. Exit status: 0 listed, 2 NATS or wadm does not answer.
    """
    import asyncio

    from wasmcloud_operator import logs
    from wasmcloud_operator.commands.apps import list_apps, table
    from wasmcloud_operator.lattice.errors import LatticeError
    from wasmcloud_operator.lattice.spec import ConnectionSpec

    logs.configure("error", "auto")
    try:
        spec = ConnectionSpec((nats,), credentials=creds.read_text(encoding="utf-8") if creds else "")
        found = asyncio.run(list_apps(spec, lattice, prefix=wadm_prefix))
    except (LatticeError, OSError, UnicodeDecodeError) as error:
        click.echo(f"cannot list the applications of lattice {lattice}: {error}", err=True)
        sys.exit(2)
    for line in table(found):
        click.echo(line)


@main.command()
@click.option("--dry-run", is_flag=True, help="Say what will change, and change nothing.")
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="The kubeconfig file, as for run.")
@click.option("--context", help="The kubeconfig's context; the current one when left out.")
@click.option("-n", "--namespace", default="", help="Only the host configs of this namespace.")
@click.option("--ip-family", type=click.Choice(IP_FAMILIES), default="auto", help="As for run.")
def migrate(dry_run: bool, kubeconfig: Path | None, context: str | None, namespace: str, ip_family: IpFamily) -> None:
    """Come from the operator written in Rust: list what will change, and remove what is in the way.

    Exit status: 0 ready, 1 something has to be mended first, 2 the cluster cannot be read.
    """
    import asyncio

    from wasmcloud_operator.commands.migrate import run_migration
    from wasmcloud_operator.kube.credentials import Credentials

    credentials = Credentials(kubeconfig, context)
    sys.exit(asyncio.run(run_migration(credentials, namespace, ip_family, dry_run=dry_run, say=click.echo)))
