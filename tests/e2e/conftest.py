"""One cluster for all journeys, with everything that the README installs; at the end a table of what they showed."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest
import pytest_asyncio
from e2ecluster import cluster
from e2ereport import Notes, Report
from e2etogether import Journey, SideBySide, journeys_of
from e2ewatched import watching
from e2eworld import World, namespace_of

from testbed.build import Progress

_report = pytest.StashKey[Report]()
_notes = pytest.StashKey[list[str]]()

# First what needs no cluster, then the quickstart with the cluster to itself, then what runs side by side, the longest
# first; at last the journeys that do something to the operator that all others would feel.
_ORDER = {
    "test_e2e_component": 0,
    "test_e2e_quickstart": 1,
    "test_e2e_change": 2,
    "test_e2e_placement": 3,
    "test_e2e_absence": 5,
    "test_e2e_rights": 6,
}
_SIDE_BY_SIDE = 4


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "journey(title): a journey of a user; its title stands in the table")
    config.stash[_report] = Report()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _ORDER.get(item.path.stem, _SIDE_BY_SIDE))


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
        await here.install()
        report.installed = here.timing
        progress.say(f"installed: {here.timing}")
        yield here


@pytest_asyncio.fixture(loop_scope="session")
async def place(world: World) -> AsyncIterator[str]:
    """A namespace, and the name of a lattice, for one journey."""
    async with namespace_of(world, _new_place()) as name:
        yield name


@pytest.fixture
def notes(request: pytest.FixtureRequest) -> Notes:
    return _notes_of(request.node)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def side_by_side(world: World, request: pytest.FixtureRequest) -> AsyncIterator[SideBySide]:
    """The journeys that each have a namespace and a lattice of their own, all started."""
    running = SideBySide()
    for name, (item, journey) in journeys_of("side_by_side", request.session.items).items():
        running.start(name, partial(_journey, world, _new_place(), item, journey))
    yield running
    await running.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def watched(world: World, request: pytest.FixtureRequest) -> AsyncIterator[SideBySide]:
    """The journeys of an operator that follows their namespaces alone, all started."""
    journeys = journeys_of("watched", request.session.items)
    places = {name: _new_place() for name in journeys}
    running = SideBySide()
    async with watching(world, places.values()):
        for name, (item, journey) in journeys.items():
            running.start(name, partial(_journey, world, places[name], item, journey))
        yield running
        await running.stop()


async def _journey(world: World, place: str, item: pytest.Item, journey: Journey) -> None:
    async with namespace_of(world, place):
        await journey(world=world, place=place, notes=_notes_of(item))
        assert world.verdicts[place].contradictions() == []


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
