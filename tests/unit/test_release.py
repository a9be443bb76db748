"""One version: what differs from VERSION is named, and one command writes it everywhere."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def release() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release_version", ROOT / "release" / "version.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def copy(release: ModuleType, tmp_path: Path) -> Path:
    """The files that repeat the version."""
    for name, *_ in release.PLACES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tmp_path / name)
    return tmp_path


def test_every_place_has_the_version(release: ModuleType) -> None:
    assert release.problems(ROOT, release.current()) == []


def test_a_place_that_differs_is_named(release: ModuleType, copy: Path) -> None:
    chart = copy / "manifests" / "chart" / "wasmcloud-operator" / "Chart.yaml"
    chart.write_text(chart.read_text().replace(f"appVersion: {release.current()}", "appVersion: 9.9.9"))
    (found,) = release.problems(copy, release.current())
    assert "wasmcloud-operator/Chart.yaml has" in found
    assert "9.9.9" in found


def test_a_place_that_is_gone_is_named(release: ModuleType, copy: Path) -> None:
    (copy / "README.md").write_text("no image here")
    assert "README.md: 0 places match" in release.problems(copy, release.current())[0]


@pytest.mark.parametrize(("version", "python"), [("1.2.3", "1.2.3"), ("1.2.3-rc.1", "1.2.3rc1")])
def test_a_new_version_is_written_everywhere(release: ModuleType, copy: Path, version: str, python: str) -> None:
    release.write(copy, version)
    assert release.problems(copy, version) == []
    assert f'version = "{python}"' in (copy / "operator" / "pyproject.toml").read_text()
    assert f"version: {version}" in (copy / "manifests" / "chart" / "wasmcloud-operator" / "Chart.yaml").read_text()


@pytest.mark.parametrize("version", ["1.2", "v1.2.3", "1.2.3-beta", ""])
def test_an_invalid_version_is_refused(release: ModuleType, version: str) -> None:
    assert release.main([version]) == 2
