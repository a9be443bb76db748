"""The pinned packages are enough for each supported Python: `pip install --require-hashes` takes nothing unpinned."""

from __future__ import annotations

import re
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from testbed.supported import PYTHONS

LOCK = Path(__file__).parents[2] / "requirements-dev.lock"
_PIN = r"^([\w.-]+)==(\S+)"


@pytest.mark.parametrize("python", PYTHONS)
def test_the_pins_hold_all_that_their_packages_need_on_a_python(python: str) -> None:
    pins = {canonicalize_name(name): version for name, version in re.findall(_PIN, LOCK.read_text(), re.MULTILINE)}
    environment = {**default_environment(), "python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    looked_at, missing = set(), []
    for package in distributions():
        name = canonicalize_name(package.metadata["Name"])
        if pins.get(name) != package.version:
            continue  # pip itself, our own packages, and those of the run on the lowest versions
        looked_at.add(name)
        for need in map(Requirement, package.requires or ()):
            applies = need.marker is None or need.marker.evaluate(environment)
            if applies and canonicalize_name(need.name) not in pins:
                missing.append(f"{name} needs {need}")
    assert looked_at
    assert not missing, "make lock"
