"""One cluster for all journeys, with everything that the README installs; at the end a table of what they showed."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest
import pytest_asyncio
from e2ecluster import Provider, choose, cluster
from e2ereport import Notes, Report
from e2etogether import PlannedService, SideBySide, journeys_of
from e2ewatched import watching
from e2eworld import World, namespace_of

from testbed.build import Progress

_report = pytest.StashKey[Report]()
_notes = pytest.StashKey[list[str]]()

# First what needs no cluster, then what runs before all others, then what runs side by side, the longest first; at last
# what changes the installation.
_ORDER = {
    "test_e2e_component": 0,
    "test_e2e_links": 0,
    "test_e2e_quickstart": 1,
    "test_e2e_change": 2,
    "test_e2e_nodes": 2,
    "test_e2e_placement": 3,
    "test_e2e_readme": 5,
    "test_e2e_absence": 6,
    "test_e2e_vanished": 7,
    "test_e2e_rights": 8,
}
_ANYWHERE = 4


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "journey(title): a journey of a user; its title stands in the table")
    config.addinivalue_line("markers", "several_nodes: a journey of clusters with more than one node")
    config.addinivalue_line("markers", "takes_nodes_away: a journey of kind, whose nodes are containers")
    config.stash[_report] = Report()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if any(item.get_closest_marker("several_nodes") for item in items):
        provider, _ = asyncio.run(choose())
        impossible = {Provider.NODE: ("several_nodes",), Provider.EXISTING: ("takes_nodes_away",)}.get(provider, ())
        without = [item for item in items if any(map(item.get_closest_marker, impossible))]
        config.hook.pytest_deselected(items=without)
        items[:] = [item for item in items if item not in without]
    items.sort(key=lambda item: _ORDER.get(item.path.stem, _ANYWHERE))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(pytestconfig: pytest.Config) -> AsyncIterator[World]:
    """The cluster with NATS, wadm, a registry and the operator as the README installs them."""
    report = pytestconfig.stash[_report]
    progress = Progress()
    started = time.monotonic()
    async with cluster(progress) as made:
        report.provider = await made.described()
        here = World(made, progress)
        here.took["cluster"] = time.monotonic() - started
        await here.install()
        report.installed = here.timing
        progress.say(f"installed: {here.timing}")
        yield here


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ahead(world: World, request: pytest.FixtureRequest) -> AsyncIterator[SideBySide]:
    """The journeys that run before all others: hosts compile the component in Python for a minute, on every core, and
    what runs beside it is measured against that.
    """
    journeys = {_new_place(): one for one in journeys_of("ahead", request.session.items)}
    async with _started(world, journeys) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def side_by_side(world: World, request: pytest.FixtureRequest) -> AsyncIterator[SideBySide]:
    """The journeys that each have a namespace and a lattice of their own, all started."""
    journeys = {_new_place(): one for one in journeys_of("side_by_side", request.session.items)}
    async with _started(world, journeys) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def watched(world: World, request: pytest.FixtureRequest) -> AsyncIterator[SideBySide]:
    """The journeys of an operator that follows their namespaces alone, all started."""
    journeys = {_new_place(): one for one in journeys_of("watched", request.session.items)}
    async with watching(world, journeys), _started(world, journeys) as running:
        yield running


@contextlib.asynccontextmanager
async def _started(world: World, journeys: dict[str, PlannedService]) -> AsyncIterator[SideBySide]:
    """Starts each in its place; stops what is still on its way at the end."""
    running = SideBySide()
    for place, planned in journeys.items():
        running.start(planned.item.nodeid, partial(_journey, world, place, planned), alone=planned.alone)
    try:
        yield running
    finally:
        await running.stop()


async def _journey(world: World, place: str, planned: PlannedService) -> None:
    async with namespace_of(world, place):
        try:
            await planned.journey(world=world, place=place, notes=_notes_of(planned.item))
            assert world.verdicts[place].contradictions() == []
        except Exception:
            planned.item.add_report_section("call", f"of {place}", await world.what_happened(place))
            raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    outcome = yield
    journey = item.get_closest_marker("journey")
    finished = call.when == "call" or (call.when == "setup" and not outcome.passed)
    if journey is not None and finished:
        row = (journey.args[0], outcome.outcome, _seconds_of(item, call), "; ".join(_notes_of(item).lines))
        item.config.stash[_report].rows.append(row)
    return outcome


def _seconds_of(item: pytest.Item, call: pytest.CallInfo[None]) -> float:
    """How long a journey took; of one that ran beside others not how long its test still had to wait."""
    given = getattr(item, "funcargs", {}).values()
    beside = next((value for value in given if isinstance(value, SideBySide)), None)
    return beside.seconds.get(item.nodeid, call.duration) if beside else call.duration


def _notes_of(item: pytest.Item) -> Notes:
    return Notes(item.stash.setdefault(_notes, []))


def _new_place() -> str:
    return f"journey-{secrets.token_hex(3)}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if lines := config.stash[_report].lines():
        terminalreporter.section("journeys")
        for line in lines:
            terminalreporter.write_line(line)
