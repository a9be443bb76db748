"""``wasmcloud-operator apps``: what wadm has in a lattice, with the owner and phase of each application."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from wasmcloud_operator.application.status import running
from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.commands.nats_options import NatsOptions
from wasmcloud_operator.commands.overview.tables import Row, Table
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.credentials import Credentials, cluster_name
from wasmcloud_operator.kube.errors import KubeError
from wasmcloud_operator.kube.gather_first_error import gather_first_error
from wasmcloud_operator.kube.resources import NAMESPACE, Key
from wasmcloud_operator.kube.transport import ConnectionOptions, Transport
from wasmcloud_operator.lattice.content import Owner, owner_of
from wasmcloud_operator.lattice.errors import WadmNotFound
from wasmcloud_operator.lattice.ledger import Entry
from wasmcloud_operator.lattice.wadm import WadmReader
from wasmcloud_operator.lattice.wadm_types import AppStatus, ModelSummary

_AT_ONCE = 16
_ANSWER_SECONDS = 10.0  # for each of wadm's
_CLUSTER_SECONDS = 3.0  # for a cluster that does not answer
_FINE = {"Deployed": True, "Failed": False}  # any other phase is on its way, or meant so
_HEADER = ("NAME", "PHASE", "DEPLOYED", "NEWEST", "OWNER", "MESSAGE")


@dataclass(frozen=True, slots=True)
class ListedApp:
    """One application of a lattice. `owner` is None for what was deployed by other means than an operator's."""

    name: str
    phase: str
    deployed: str
    newest: str
    owner: Owner | None
    message: str


async def list_apps(nats: NatsOptions, lattice: str) -> list[ListedApp]:
    """The applications of a lattice by name. Raises as `NatsOptions.ask`."""
    return await nats.ask(lattice, _listed, timeout=_ANSWER_SECONDS)


async def _listed(wadm: WadmReader) -> list[ListedApp]:
    limit = asyncio.Semaphore(_AT_ONCE)

    async def with_owner(summary: ModelSummary) -> ListedApp:
        async with limit:
            try:
                owner = owner_of(await wadm.get(summary.name))
            except WadmNotFound:
                owner = None
        return _app(summary, owner)

    summaries = await wadm.list()
    return sorted(await gather_first_error(with_owner(summary) for summary in summaries), key=lambda app: app.name)


async def named_cluster(credentials: Credentials, apps: Iterable[ListedApp]) -> Mapping[str, str]:
    """Returns the kubeconfig's name for the cluster that it leads to, by the uid that owners are known by.

    Empty where that cluster owns nothing here, or cannot be asked: the names are a help, and no reason to fail.
    """
    owners = {app.owner.cluster for app in apps if app.owner}
    if not owners:
        return {}
    try:
        name = cluster_name(credentials)
        async with asyncio.timeout(_CLUSTER_SECONDS), Transport.open(ConnectionOptions(credentials)) as transport:
            client = Reader(transport)
            uid = (await client.get(NAMESPACE, Key("", "kube-system"))).metadata.uid
    except (KubeError, OSError, TimeoutError):
        return {}
    return {uid: name} if name and uid in owners else {}


def table(apps: Iterable[ListedApp], clusters: Mapping[str, str]) -> Table:
    """Returns a row for each application; `clusters` has names by uid."""
    return Table(_HEADER, tuple(_row(app, clusters) for app in apps), state=1)


def as_json(apps: Iterable[ListedApp], clusters: Mapping[str, str]) -> str:
    """Returns the applications as one JSON list; an owner's cluster has its uid, and its name where it is known."""

    def described(app: ListedApp) -> JsonObject:
        found = asdict(app)
        if app.owner is not None:
            found["owner"]["clusterName"] = clusters.get(app.owner.cluster)
        return found

    return json.dumps([described(app) for app in apps], indent=2)


def _app(summary: ModelSummary, owner: Owner | None) -> ListedApp:
    phase, message = "Undeployed", ""
    if summary.deployed_version:
        status = AppStatus(info=summary.status, scalers=summary.scalers)
        verdict = running(Entry(deployed=summary.deployed_version, newest=summary.version, status=status))
        phase, message = verdict.phase or "Reconciling", verdict.message
    return ListedApp(summary.name, phase, summary.deployed_version, summary.version, owner, message)


def _row(app: ListedApp, clusters: Mapping[str, str]) -> Row:
    owner = "-"
    if app.owner is not None:
        cluster = clusters.get(app.owner.cluster, app.owner.cluster)
        owner = f"{app.owner.namespace}/{app.owner.name} ({cluster})"
    cells = (app.name, app.phase, app.deployed or "-", app.newest or "-", owner, app.message)
    return Row(cells, _FINE.get(app.phase))
