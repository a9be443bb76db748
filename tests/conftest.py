"""Fixtures of the testbed: real components, started once a session and shared by the tests.

- `control_plane`: a Kubernetes control plane with an audit log; `kwok`: three simulated nodes on it, pods become Ready.
- `nats_server`: a hub with JetStream domain `default` and a leaf node port; `wadm`: wadm on it.
- `own_nats`: a NATS server of the test's own, and `between`: wadm on it with a test's own hands between the two.
- `admin`: a client of the API server with every right; `namespace`: a fresh one, deleted after the test.
- `crds`: the custom resources are served; `operator`: an operator on that control plane that follows `namespace` only.

The session's fixtures are made in the session's event loop. Nothing in the testbed is bound to a loop, so tests (and
their own fixtures) run in a loop of their own as usual. A test that hurts a component (kill, wipe, restart) starts its
own with `ControlPlane.start(tmp_path)` and the like: what is shared has to stay as the next test expects it.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import structlog
from hypothesis import HealthCheck, settings

from support.operators.in_process import RunningOperator
from support.wadm.between import Between
from testbed import Admin, ControlPlane, Kwok, NatsServer, Server, Wadm
from testbed.cache import ensure, find
from testbed.stack import components_of

# A busy machine may be slow at any example, and a change is not to be held up by an example that it did not bring.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")


async def build(config: pytest.Config, parts: frozenset[str]) -> None:
    """Build what is missing before it is started, with its progress shown: a first build takes minutes."""
    capture = config.pluginmanager.getplugin("capturemanager")
    for component in components_of(parts):
        if find(component) is None:
            with capture.global_and_fixture_disabled():
                await ensure(component.name)


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Takes back what a command that ran in the test's own process has configured."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def control_plane(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ControlPlane]:
    await build(pytestconfig, frozenset({"control-plane"}))
    async with ControlPlane.start(tmp_path_factory.mktemp("control-plane"), audit=True) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kwok(pytestconfig: pytest.Config, control_plane: ControlPlane) -> AsyncIterator[Kwok]:
    await build(pytestconfig, frozenset({"kwok"}))
    async with Kwok.start(control_plane, nodes=3) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def nats_server(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[NatsServer]:
    await build(pytestconfig, frozenset({"nats"}))
    async with NatsServer.start(tmp_path_factory.mktemp("nats")) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def wadm(
    pytestconfig: pytest.Config, nats_server: NatsServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    await build(pytestconfig, frozenset({"wadm"}))
    async with Wadm.start(tmp_path_factory.mktemp("wadm"), nats_server.url) as running:
        yield running


@pytest_asyncio.fixture
async def own_nats(pytestconfig: pytest.Config, tmp_path: Path) -> AsyncIterator[NatsServer]:
    await build(pytestconfig, frozenset({"nats"}))
    async with NatsServer.start(tmp_path / "nats") as running:
        yield running


@pytest_asyncio.fixture
async def between(pytestconfig: pytest.Config, own_nats: NatsServer, tmp_path: Path) -> AsyncIterator[Between]:
    await build(pytestconfig, frozenset({"wadm"}))
    async with Between.start(tmp_path / "wadm", own_nats) as running:
        yield running


@pytest_asyncio.fixture
async def admin(control_plane: ControlPlane) -> AsyncIterator[Admin]:
    async with control_plane.admin() as client:
        yield client


@pytest_asyncio.fixture
async def namespace(admin: Admin) -> AsyncIterator[str]:
    name = f"test-{secrets.token_hex(4)}"
    await admin.create_namespace(name)
    yield name
    await admin.delete("v1/Namespace", name)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def crds(control_plane: ControlPlane) -> ControlPlane:
    files = sorted((Path(__file__).parents[1] / "manifests" / "crds").glob("*.yaml"))
    await control_plane.admin().apply_files(*files)
    return control_plane


@pytest_asyncio.fixture
async def operator(crds: ControlPlane, namespace: str) -> AsyncIterator[RunningOperator]:
    async with RunningOperator.start(crds, watch_namespaces=namespace) as running:
        yield running
