"""Another release of the operator takes over and gives back, as `kubectl apply` of its manifests has it.

Both are processes beside a real control plane and a real wadm; the earlier one runs from sources that git has.
Pods, the template that they come from, Services and deployed versions must stay as they are.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from support.operators.process import OperatorProcess
from support.sites.hostpools import CONFIG, DEPLOYMENT, at_rest, exists, host_config, shown, writes
from support.sites.services import APP, SERVICE, ServiceSite, http_components
from testbed import Admin, ControlPlane, Kwok, NatsServer, Server
from testbed.audit import AuditEvent

ROOT = Path(__file__).parents[2]
# Nothing is released yet: this state stands for the first release. A change of the pods' template after it rolls hosts.
FIRST_RELEASE = "2558fbb09113f315cf9e0a8b50f8da931d685a47"


@pytest.fixture(scope="session")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The earlier release as its repository was."""
    target = tmp_path_factory.mktemp("earlier-release")
    command = ["git", "-C", str(ROOT), "archive", FIRST_RELEASE, "operator/src", "types/src", "manifests/crds"]
    archive = subprocess.run(command, capture_output=True, check=False, timeout=60)
    if archive.returncode:
        why = archive.stderr.decode().strip()
        pytest.fail(
            f"git has no sources of {FIRST_RELEASE} ({why}): a shallow clone is completed by git fetch --unshallow"
        )
    subprocess.run(["tar", "--extract", "--directory", str(target)], input=archive.stdout, check=True, timeout=60)
    return target


def sources_of(release: Path) -> list[Path]:
    """What stands before the installed packages: the operator's and the types'."""
    return [release / "operator/src", release / "types/src"]


@dataclass
class Upgrades:
    """The operators of both releases, one at a time, on one control plane."""

    cluster: ControlPlane
    admin: Admin
    earlier_sources: Path
    folder: Path
    namespace: str
    started: int = 0

    @contextlib.asynccontextmanager
    async def earlier(self) -> AsyncIterator[OperatorProcess]:
        """Without its CRDs: those of the later release stay, as Helm leaves CRDs where they are."""
        async with self._run(sources=sources_of(self.earlier_sources)) as operator:
            yield operator

    @contextlib.asynccontextmanager
    async def this(self) -> AsyncIterator[OperatorProcess]:
        """With its CRDs, which go first."""
        await self.apply_crds(ROOT)
        async with self._run() as operator:
            yield operator

    async def apply_crds(self, of: Path) -> None:
        await self.admin.apply_files(*sorted((of / "manifests/crds").glob("*.yaml")))

    @contextlib.asynccontextmanager
    async def _run(self, sources: Sequence[Path] = ()) -> AsyncIterator[OperatorProcess]:
        self.started += 1
        flags = ("--no-leader-election", "--watch-namespaces", self.namespace)
        name = f"operator-{self.started}"
        async with OperatorProcess.start(
            self.cluster.kubeconfig, self.folder, *flags, name=name, sources=sources
        ) as operator:
            yield operator


@pytest_asyncio.fixture
async def site(
    admin: Admin, crds: ControlPlane, kwok: Kwok, nats_server: NatsServer, wadm: Server
) -> AsyncIterator[ServiceSite]:
    async with ServiceSite.open(admin, nats_server, replicas=0) as opened:
        yield opened


@pytest_asyncio.fixture
async def upgrades(site: ServiceSite, crds: ControlPlane, earlier: Path, tmp_path: Path) -> AsyncIterator[Upgrades]:
    made = Upgrades(crds, site.admin, earlier, tmp_path, site.namespace)
    await made.apply_crds(earlier)
    yield made
    await made.apply_crds(ROOT)


async def test_hosts_and_applications_run_on_through_an_upgrade_and_back(site: ServiceSite, upgrades: Upgrades) -> None:
    cluster, namespace = upgrades.cluster, site.namespace
    assert cluster.audit is not None
    async with contextlib.AsyncExitStack() as hosts:
        async with upgrades.earlier():
            await site.scale(2)
            pods = await site.pods()
            for pod in pods:
                await hosts.enter_async_context(site.host_on(pod))
            await site.create("shop", http_components(8090, scaler="daemonscaler"))
            await site.app("shop", is_deployed, timeout=180)
            await site.endpoints("shop", lambda found: found == set(pods))
            await shown(site.admin, namespace, timeout=180, Ready="True")
            await at_rest(cluster, namespace)
            before = await state(site)

        since = cluster.audit.end
        async with upgrades.this():
            await shown(site.admin, namespace, timeout=180, Ready="True")
            await at_rest(cluster, namespace, quiet=3)
            assert await state(site) == before
            assert of_others_than_status(writes(cluster, since, namespace)) == []
            # what the new one makes, the earlier one has to read
            await site.admin.create(host_config(namespace, "second", hostReplicas=1))
            await exists(site.admin, DEPLOYMENT, namespace, "second", timeout=180)
            await site.patch("shop", {"spec": {"components": http_components(8091, scaler="daemonscaler")}})
            await site.service("shop", lambda found: found["spec"]["ports"][0]["targetPort"] == 8091, timeout=180)
            await site.app("shop", is_deployed, timeout=180)
            await site.endpoints("shop", lambda found: found == set(pods))
            await at_rest(cluster, namespace)
            changed = await state(site)
            assert changed["pods"] == before["pods"]

        for operator in (upgrades.earlier, upgrades.this):
            since = cluster.audit.end
            async with operator() as running:
                await shown(site.admin, namespace, timeout=180, Ready="True")
                await site.app("shop", is_deployed, timeout=180)
                await at_rest(cluster, namespace, quiet=3)
                assert await state(site) == changed
                assert of_others_than_status(writes(cluster, since, namespace)) == []
                assert not running.logged("an object cannot be read")


def is_deployed(application: Any) -> bool:
    status = application.get("status") or {}
    return (
        status.get("observedGeneration") == application["metadata"]["generation"] and status.get("phase") == "Deployed"
    )


async def state(site: ServiceSite) -> dict[str, Any]:
    """What an upgrade has to leave as it is: pods, their templates, Services, and what wadm has deployed."""
    admin, namespace = site.admin, site.namespace
    pods = await admin.list(
        "v1/Pod", namespace, labels="app.kubernetes.io/name=wasmcloud,app.kubernetes.io/instance=pool"
    )
    versions = await site.wadm("versions.shop")
    return {
        "pods": sorted((pod["metadata"]["uid"], pod["metadata"]["labels"]["pod-template-hash"]) for pod in pods),
        "workloads": {
            each["metadata"]["name"]: each["metadata"]["generation"] for each in await admin.list(DEPLOYMENT, namespace)
        },
        "services": {
            each["metadata"]["name"]: (each["metadata"]["uid"], each["spec"])
            for each in await admin.list(SERVICE, namespace)
        },
        "deployed": [entry["version"] for entry in versions["versions"] if entry["deployed"]],
        "generations": [
            (each["metadata"]["name"], each["metadata"]["generation"])
            for kind in (CONFIG, APP)
            for each in await admin.list(kind, namespace)
        ],
    }


def of_others_than_status(found: list[AuditEvent]) -> list[AuditEvent]:
    """The writes of anything but status and Events."""
    return [
        event for event in found if not event.resource.endswith("/status") and not event.resource.startswith("events")
    ]


def test_the_earlier_release_is_what_runs(earlier: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, sources_of(earlier)))}
    for package in ("wasmcloud_operator", "wasmcloud_operator_types"):
        code = f"import {package}; print({package}.__file__)"
        found = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, check=True, timeout=60
        )
        assert Path(found.stdout.decode()).is_relative_to(earlier)
