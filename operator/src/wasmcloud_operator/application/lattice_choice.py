"""In which lattice an application belongs: the lattice of its namespace's host configs, or of the config it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wasmcloud_operator.application import naming
from wasmcloud_operator.application.place import Place
from wasmcloud_operator.lattice.lattice import Lattice
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.pools import Pool


@dataclass(frozen=True, slots=True)
class ConfiguredPool:
    """A host config of the application's namespace. `pool` is None until its connection is known."""

    name: str
    lattice: str
    pool: Pool | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """The lattice to use, and the host config whose connection leads there."""

    lattice: Lattice
    host_config: str
    others: tuple[Chosen, ...] = ()
    """While this one was never up: those that are, and may prove to be the same by another address or user."""


@dataclass(frozen=True, slots=True)
class NotChosen:
    """Why there is no lattice. `stalled`: only a user can mend it; `known` lattice name, where there is just one."""

    reason: Reason
    message: str
    stalled: bool = False
    soon: bool = False
    """The host config is there and only its connection is not known yet."""

    others: tuple[Chosen, ...] = ()
    """As of `Chosen`."""


def choose(
    annotations: Mapping[str, str], configs: Sequence[ConfiguredPool], before: Place | None = None
) -> Chosen | NotChosen:
    """The lattice of an application with these annotations among its namespace's host configs.

    Where several fit, it stays where it was `before`: what runs is not to fail because of a host config that comes.
    """
    wanted_config, wanted_lattice = annotations.get(naming.HOST_CONFIG), annotations.get(naming.LATTICE)
    fitting = [
        config
        for config in configs
        if wanted_config in (None, config.name) and wanted_lattice in (None, config.lattice)
    ]
    if not fitting:
        return _nothing_fits(wanted_config, wanted_lattice, configs)
    fitting = [config for config in fitting if before is not None and config.lattice == before.lattice] or fitting
    if len({config.lattice for config in fitting}) > 1:
        return _ambiguous("lattices", naming.LATTICE, fitting)
    all_fitting, fitting = fitting, _leading_back(fitting, before) or fitting
    others = tuple(
        Chosen(one.pool.lattice, one.name)
        for one in all_fitting
        if one not in fitting and one.pool is not None and one.pool.lattice.identified
    )
    connected = [(config, config.pool) for config in fitting if config.pool is not None]
    if not connected:
        listed = ", ".join(config.name for config in fitting)
        message = f"the connection of host config {listed} to lattice {fitting[0].lattice} is not known yet"
        return NotChosen(Reason.HOST_CONFIG_NOT_READY, f"{message}: see its status", soon=True, others=others)
    # A route that was never up leads nobody knows where: it must not stand in the way of one that is.
    identified = [(config, pool) for config, pool in connected if pool.lattice.identified]
    if len({pool.lattice for _, pool in identified}) > 1:
        return _ambiguous(f"NATS systems with a lattice {fitting[0].lattice}", naming.HOST_CONFIG, fitting)
    config, pool = (identified or connected)[0]
    return Chosen(pool.lattice, config.name, () if identified else others)


def _leading_back(configs: Sequence[ConfiguredPool], before: Place | None) -> list[ConfiguredPool]:
    """Returns the host configs that lead, or may lead, to where the application was; none where nothing shows it.

    While its NATS is down, or a Secret is missing, another NATS system with a lattice of that name is not the way.
    """
    if before is None:
        return []
    led = [one for one in configs if one.pool is not None and before.is_in(one.pool.lattice.identity)]
    return led or [one for one in configs if one.name == before.host_config and not _is_identified(one)]


def _is_identified(config: ConfiguredPool) -> bool:
    return config.pool is not None and config.pool.lattice.identified


def _nothing_fits(config: str | None, lattice: str | None, configs: Sequence[ConfiguredPool]) -> NotChosen:
    asked = [f"named {config}"] if config is not None else []
    asked += [f"of lattice {lattice}"] if lattice is not None else []
    what = " ".join(["no host config", *asked, "in this namespace"])
    there = f"; there are {_listed(configs)}" if configs else ""
    return NotChosen(Reason.NO_HOST_CONFIG, f"{what}{there}: the application waits for one")


def _ambiguous(what: str, annotation: str, configs: Sequence[ConfiguredPool]) -> NotChosen:
    message = f"the host configs of this namespace are in different {what}: {_listed(configs)}; choose one with"
    return NotChosen(Reason.AMBIGUOUS_LATTICE, f"{message} the annotation {annotation}", stalled=True)


def _listed(configs: Sequence[ConfiguredPool]) -> str:
    return ", ".join(f"{config.name} (lattice {config.lattice})" for config in configs)
