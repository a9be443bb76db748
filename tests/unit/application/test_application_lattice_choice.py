"""In which lattice an application belongs, among the host configs of its namespace; and what users read if in none."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

import pytest

from wasmcloud_operator.application.lattice_choice import Chosen, ConfiguredPool, NotChosen, choose
from wasmcloud_operator.application.place import Place
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.identity import LatticeIdentity
from wasmcloud_operator.shared.pools import Pool


@dataclass(frozen=True)
class Reached:
    """As much of a `Lattice` as the choice reads."""

    name: str
    system: str

    @property
    def identified(self) -> bool:
        return not self.system.startswith(NEVER_UP)

    @property
    def identity(self) -> LatticeIdentity:
        id_ = f"{self.name} on {self.system}"
        return LatticeIdentity(self.name, id_, frozenset({id_}))


NEVER_UP = "never up"


def config(name: str, lattice: str, system: str | None = "a") -> ConfiguredPool:
    if system is None:
        return ConfiguredPool(name, lattice, None)
    pool = SimpleNamespace(key=Key("ns", name), lattice=Reached(lattice, system))
    return ConfiguredPool(name, lattice, cast("Pool", pool))


LATTICE, HOST_CONFIG = "k8s.wasmcloud.dev/lattice", "k8s.wasmcloud.dev/host-config"


@pytest.mark.parametrize(
    ("annotations", "configs", "expected"),
    [
        ({}, [], "NoHostConfig"),
        ({}, [config("a", "l")], "a"),
        ({}, [config("a", "l"), config("b", "l")], "a"),
        ({}, [config("a", "l"), config("b", "m")], "AmbiguousLattice"),
        ({}, [config("a", "l"), config("b", "m", None)], "AmbiguousLattice"),
        ({}, [config("a", "l"), config("b", "l", "b")], "AmbiguousLattice"),
        ({}, [config("a", "l", NEVER_UP), config("b", "l")], "b"),
        ({}, [config("a", "l", NEVER_UP), config("b", "l", NEVER_UP)], "a"),
        ({}, [config("a", "l", None)], "HostConfigNotReady"),
        ({}, [config("a", "l", None), config("b", "l")], "b"),
        ({LATTICE: "m"}, [config("a", "l"), config("b", "m")], "b"),
        ({LATTICE: "n"}, [config("a", "l"), config("b", "m")], "NoHostConfig"),
        ({HOST_CONFIG: "b"}, [config("a", "l"), config("b", "m")], "b"),
        ({HOST_CONFIG: "b", LATTICE: "l"}, [config("a", "l"), config("b", "m")], "NoHostConfig"),
        ({HOST_CONFIG: "b"}, [config("a", "l"), config("b", "l", "b")], "b"),
    ],
)
def test_the_lattice_is_that_of_the_namespaces_host_configs(
    annotations: dict[str, str], configs: list[ConfiguredPool], expected: str
) -> None:
    choice = choose(annotations, configs)
    if isinstance(choice, Chosen):
        assert choice.host_config == expected
        assert choice.lattice is next(at.pool.lattice for at in configs if at.name == expected and at.pool)
        return
    assert choice.reason == expected
    assert choice.stalled is (expected == "AmbiguousLattice")
    assert choice.soon is (expected == "HostConfigNotReady"), "a moment later it may be another answer"
    assert all(candidate.name in choice.message for candidate in configs)


def test_an_application_stays_where_it_is_while_that_fits() -> None:
    configs = [config("a", "l"), config("b", "m")]
    chosen = choose({}, configs, Place("m"))
    assert isinstance(chosen, Chosen)
    assert chosen.host_config == "b"
    assert isinstance(choose({}, configs, Place("gone")), NotChosen), "where it was there is no host config any more"
    asked = choose({LATTICE: "l"}, configs, Place("m"))
    assert isinstance(asked, Chosen)
    assert asked.host_config == "a", "unless it is asked for elsewhere"
    two_systems = [config("a", "l"), config("b", "l", "b")]
    chosen = choose({}, two_systems, Place("l", "", "l on b"))
    assert isinstance(chosen, Chosen)
    assert chosen.host_config == "b"


def test_two_routes_that_were_never_up_do_not_ask_for_a_choice_where_it_ran_before() -> None:
    configs = [config("a", "l", NEVER_UP), config("b", "l", NEVER_UP)]
    chosen = choose({}, configs, Place("l", "", "l on b"))
    assert isinstance(chosen, Chosen)
    assert chosen.host_config == "a"


DOWN = f"{NEVER_UP} since the start"


@pytest.mark.parametrize(
    ("configs", "expected"),
    [
        pytest.param([config("a", "l", DOWN), config("b", "l", "b")], "a", id="its NATS is down"),
        pytest.param([config("b", "l", "b"), config("z", "l", DOWN)], "z", id="whichever name comes first"),
        pytest.param([config("a", "l", None), config("b", "l", "b")], "HostConfigNotReady", id="its Secret is missing"),
        pytest.param([config("a", "l", NEVER_UP), config("b", "l", "b")], "a", id="its address is new, and down"),
        pytest.param([config("c", "l", None), config("b", "l", "b")], "b", id="another one is not ready"),
        pytest.param(
            [config("c", "l", NEVER_UP), config("b", "l", "b")], "b", id="where it was there is none any more"
        ),
    ],
)
def test_after_a_restart_an_application_does_not_move_because_its_lattice_is_not_up_yet(
    configs: list[ConfiguredPool], expected: str
) -> None:
    chosen = choose({}, configs, Place("l", "a", f"l on {DOWN}"))
    waits = expected in ("a", "z", "HostConfigNotReady")
    assert [other.host_config for other in chosen.others] == (["b"] if waits else []), "it may prove to be the same"
    if isinstance(chosen, Chosen):
        assert chosen.host_config == expected
        return
    assert (chosen.reason, chosen.soon, chosen.stalled) == (expected, True, False)
    assert "host config a" in chosen.message


AB = [config("a", "l"), config("b", "m")]


@pytest.mark.parametrize(
    ("annotations", "configs", "message"),
    [
        ({}, [], "no host config in this namespace: the application waits for one"),
        (
            {LATTICE: "n", HOST_CONFIG: "c"},
            AB,
            (
                "no host config named c of lattice n in this namespace; there are a (lattice l), b (lattice m): the"
                " application waits for one"
            ),
        ),
        (
            {},
            AB,
            (
                "the host configs of this namespace are in different lattices: a (lattice l), b (lattice m);"
                " choose one with the annotation k8s.wasmcloud.dev/lattice"
            ),
        ),
        (
            {LATTICE: "l"},
            [config("a", "l"), config("b", "l", "b")],
            (
                "the host configs of this namespace are in different NATS systems with a lattice l: a (lattice l),"
                " b (lattice l); choose one with the annotation k8s.wasmcloud.dev/host-config"
            ),
        ),
        (
            {},
            [config("a", "l", None), config("b", "l", None)],
            "the connection of host config a, b to lattice l is not known yet: see its status",
        ),
    ],
)
def test_where_no_lattice_is_chosen_the_message_names_what_was_asked_what_is_there_and_what_to_do(
    annotations: dict[str, str], configs: list[ConfiguredPool], message: str
) -> None:
    choice = choose(annotations, configs)
    assert isinstance(choice, NotChosen)
    assert choice.message == message
