"""The README's table of versions, from what the tests run on: `python -m testbed.supported` prints it.

The API servers and wadms are those of `make test` and `make matrix`, the Pythons those of `make pythons`.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from testbed.components import COMPONENTS, Component

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
"""What `make pythons` runs the unit tests on."""

_ROOT = Path(__file__).parents[2]
_HOST_ARGUMENTS = _ROOT / "tests" / "unit" / "hostpool" / "host-arguments.json"


def table() -> str:
    """The table in Markdown, with a newline at its end."""
    rows = (
        ("Kubernetes", "1.29 or newer", _listed(_versions_of("kube-apiserver"))),
        ("NATS", "2.10 or newer", COMPONENTS["nats-server"].version),
        ("wadm", "0.12 or newer", _listed(_versions_of("wadm"))),
        ("wasmCloud hosts", "0.8x to 1.9", _hosts()),
        ("Python, for the packages", f"{_lowest_python()} or newer", ", ".join(PYTHONS)),
    )
    head = ("| | supported | tests run on |", "|---|---|---|")
    return "\n".join((*head, *(f"| {' | '.join(row)} |" for row in rows), ""))


def _versions_of(program: str) -> list[Component]:
    return [part for name, part in COMPONENTS.items() if re.fullmatch(rf"{program}(-[\d.]+)?", name)]


def _listed(parts: list[Component]) -> str:
    by_minor = sorted(parts, key=lambda part: [int(number) for number in part.version.split(".")])
    return ", ".join(part.version for part in by_minor)


def _hosts() -> str:
    releases = list(json.loads(_HOST_ARGUMENTS.read_text()))
    crate = f"1.9 (crate wasmcloud-host {COMPONENTS['wasmcloud-host'].version})"
    parsers = f"the command-line parsers of {len(releases)} releases from {releases[0]} to {releases[-1]}"
    return f"{crate}; {parsers}"


def _lowest_python() -> str:
    project = tomllib.loads((_ROOT / "operator" / "pyproject.toml").read_text())["project"]
    return str(project["requires-python"]).removeprefix(">=")


if __name__ == "__main__":
    print(table(), end="")
