"""One cluster for all journeys, with everything that the README installs; at the end a table of what they showed."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from e2ecluster import cluster
from e2ereport import Notes
from e2eworld import World, namespace_of

from testbed.build import Progress


@dataclass
class Report:
    """The lines of the final table."""

    installed: str = ""
    provider: str = ""
    rows: list[tuple[str, str, float, str]] = field(default_factory=list)


_report = pytest.StashKey[Report]()
_notes = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "journey(title): a journey of a user; its title stands in the table")
    config.stash[_report] = Report()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(pytestconfig: pytest.Config) -> AsyncIterator[World]:
    """The cluster with NATS, wadm, a registry and the operator as the README installs them."""
    report = pytestconfig.stash[_report]
    progress = Progress()
    started = time.monotonic()
    async with cluster(progress) as made:
        report.provider = made.provider.value
        here = World(made, progress)
        here.took["cluster"] = time.monotonic() - started
        await here.load_images()
        await here.install_lattice()
        await here.install_operator()
        progress.say(f"installed: {here.timing}")
        report.installed = here.timing
        yield here


@pytest_asyncio.fixture(loop_scope="session")
async def place(world: World) -> AsyncIterator[str]:
    """A namespace, and the name of a lattice, for one journey."""
    async with namespace_of(world, f"journey-{secrets.token_hex(3)}") as name:
        yield name


@pytest.fixture
def notes(request: pytest.FixtureRequest) -> Notes:
    return Notes(request.node.stash.setdefault(_notes, []))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    outcome = yield
    journey = item.get_closest_marker("journey")
    finished = call.when == "call" or (call.when == "setup" and not outcome.passed)
    if journey is not None and finished:
        row = (journey.args[0], outcome.outcome, call.duration, "; ".join(item.stash.get(_notes, [])))
        item.config.stash[_report].rows.append(row)
    return outcome


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    report = config.stash[_report]
    if not report.rows:
        return
    terminalreporter.section("journeys")
    if report.provider:
        terminalreporter.write_line(f"on {report.provider}; made in: {report.installed}")
    width = max(len(row[0]) for row in report.rows)
    for title, result, seconds, noted in report.rows:
        terminalreporter.write_line(f"{title:<{width}}  {result:<7} {seconds:6.1f} s  {noted}")
