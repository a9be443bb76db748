"""How components are found and built, tried on a small Go program instead of the large ones."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import stat
import sys
from pathlib import Path

import pytest

from testbed import cache
from testbed.build import BuildFailed, Progress, ToolchainMissing, pinned_lock
from testbed.cache import Origin, ensure, find
from testbed.components import COMPONENTS, Component, Toolchain, select

GO_MOD = "module tiny\n\ngo 1.22\n\nrequire example.com/tiny v1.2.3 // indirect\n"


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Component:
    """A component that builds in a second, and an empty cache."""
    recipe = tmp_path / "recipe"
    recipe.mkdir()
    (recipe / "go.mod").write_text(GO_MOD)
    (recipe / "main.go").write_text('package main\n\nfunc main() { println("tiny version v1.2.3") }\n')
    component = Component("tiny-program", "core", Toolchain.GO, str(recipe), "example.com/tiny", "tiny", cold_seconds=1)
    monkeypatch.setitem(COMPONENTS, component.name, component)
    monkeypatch.setenv("WASMCLOUD_TESTBED_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    return component


def fake_program(folder: Path, name: str, says: str) -> None:
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def test_every_component_has_a_pinned_version_and_a_key_of_its_own() -> None:
    keys = [component.key for component in COMPONENTS.values()]
    assert len(set(keys)) == len(keys)
    assert COMPONENTS["kube-apiserver"].version == "1.35.4"
    assert COMPONENTS["wadm"].version == "0.21.1"


def test_the_releases_of_a_crate_are_built_in_turn_and_each_other_component_by_itself() -> None:
    wadms = [component for component in COMPONENTS.values() if component.recipe_name.startswith("wadm")]
    assert len(wadms) > 3
    assert {component.family for component in wadms} == {"wadm"}
    others = [component for component in COMPONENTS.values() if component not in wadms]
    assert [component.family for component in others] == [component.name for component in others]


def test_select_takes_names_and_groups_in_the_order_of_building() -> None:
    assert [component.name for component in select(["wadm", "etcd"])] == ["etcd", "wadm"]
    assert {component.name for component in select(["core"])} >= {"etcd", "kube-apiserver", "nats-server", "kwok"}
    with pytest.raises(KeyError, match="nonsense"):
        select(["nonsense"])


async def test_builds_once_and_takes_it_from_the_cache_then(tiny: Component) -> None:
    assert find(tiny) is None
    out = io.StringIO()
    path = await ensure(tiny.name, Progress(out))
    assert "building tiny-program 1.2.3 with go (about 1 s" in out.getvalue()
    assert path == cache.cache_root() / tiny.key / "bin" / "tiny-program"
    built = path.stat().st_mtime_ns
    assert await ensure(tiny.name) == path
    assert path.stat().st_mtime_ns == built
    found = find(tiny)
    assert found is not None
    assert found.origin is Origin.CACHE


async def test_a_changed_recipe_is_built_anew(tiny: Component) -> None:
    before = await ensure(tiny.name)
    (tiny.recipe / "main.go").write_text("package main\n\nfunc main() {}\n")
    assert find(tiny) is None
    assert await ensure(tiny.name) != before


async def test_a_failed_build_shows_why_and_leaves_nothing_that_looks_built(tiny: Component) -> None:
    (tiny.recipe / "main.go").write_text("package main\n\nfunc main() { undefined() }\n")
    with pytest.raises(BuildFailed, match=r"(?s)did not build.*\.log:.*undefined: undefined"):
        await ensure(tiny.name)
    assert find(tiny) is None
    (tiny.recipe / "main.go").write_text("package main\n\nfunc main() {}\n")
    assert (await ensure(tiny.name)).is_file()


async def test_a_missing_toolchain_is_named_with_how_to_get_it(
    tiny: Component, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing-here"))
    with pytest.raises(ToolchainMissing, match=r"go is missing.*install Go from"):
        await ensure(tiny.name)


@pytest.mark.parametrize("variable", ["KUBEBUILDER_ASSETS", "PATH"])
async def test_a_program_of_the_right_version_is_taken_instead_of_building(
    variable: str, tiny: Component, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "bin"))
    fake_program(tmp_path / "bin", tiny.name, "tiny-program v1.2.3, of today")
    assert await ensure(tiny.name) == tmp_path / "bin" / tiny.name
    fake_program(tmp_path / "bin", tiny.name, "tiny-program v1.2.30")
    assert find(tiny) is None


async def test_two_processes_build_it_once(tiny: Component, tmp_path: Path) -> None:
    script = f"""
import asyncio, sys
from testbed.components import COMPONENTS, Component, Toolchain
from testbed.cache import ensure
COMPONENTS["tiny-program"] = Component(
    "tiny-program", "core", Toolchain.GO, {str(tiny.recipe)!r}, "example.com/tiny", "tiny", cold_seconds=1)
print(asyncio.run(ensure("tiny-program")))
"""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}

    async def other() -> tuple[str, str]:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, env=env, stdout=pipe, stderr=pipe)
        out, err = await process.communicate()
        assert process.returncode == 0, err
        return out.decode().strip(), err.decode()

    results = await asyncio.gather(other(), other())
    assert {path for path, _ in results} == {str(cache.cache_root() / tiny.key / "bin" / tiny.name)}
    assert sum("built tiny-program" in said for _, said in results) == 1
    assert not list(cache.cache_root().glob("*.partial"))


async def test_leftovers_of_a_killed_build_are_no_obstacle(tiny: Component) -> None:
    leftover = cache.cache_root() / f"{tiny.key}.partial" / "bin"
    leftover.mkdir(parents=True)
    (leftover / tiny.name).write_text("half a program")
    path = await ensure(tiny.name)
    assert path.stat().st_size > 10_000
    assert shutil.which(str(path))


def test_pins_get_the_registry_of_this_machine() -> None:
    pins = '[[package]]\nname = "a"\nsource = "registry"\nchecksum = "c"\n\n[[package]]\nname = "own"\n'
    resolved = '[[package]]\nname = "a"\nsource = "registry+sparse://mirror/index"\n'
    assert 'name = "a"\nsource = "registry+sparse://mirror/index"\nchecksum = "c"' in pinned_lock(
        pins, resolved=resolved
    )
    with pytest.raises(BuildFailed):
        pinned_lock(pins, resolved="")


def test_builds_side_by_side_share_the_line() -> None:
    out = io.StringIO()
    progress = Progress(out, every=0)
    progress.update("etcd: 1 s", of="etcd")
    progress.update("wadm: 1 s", of="wadm")
    progress.ended("etcd")
    progress.update("wadm: 2 s", of="wadm")
    assert out.getvalue().splitlines() == ["etcd: 1 s", "etcd: 1 s; wadm: 1 s", "wadm: 2 s"]
