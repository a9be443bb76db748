"""The parts of a kind cluster on an engine of our own; the cluster itself is what the journeys run on."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed import Server, eventually
from testbed.build import Progress
from testbed.cache import lock
from testbed.kind import engine, leftovers
from testbed.kind.cluster import CONFIG, create_arguments
from testbed.node import needs, sysctls
from testbed.node.leftovers import notes_of
from testbed.ports import free_ports
from testbed.process import http_ok, start_on_free_ports

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and kernel settings need root")
_TESTS = Path(__file__).parents[1]
_SETTING = "kernel/keys/root_maxkeys"


def test_image_and_configuration_of_the_cluster_are_the_users_choice(tmp_path: Path) -> None:
    default = create_arguments(tmp_path, {}, "localhost/node:1")
    assert default[-4:] == ["--wait", "180s", "--image", "localhost/node:1"]
    assert default[default.index("--config") + 1] == CONFIG
    chosen = create_arguments(tmp_path, {"KIND_IMAGE": "kindest/node:v1.32.0", "KIND_CONFIG": "mine.yaml"}, "other:1")
    assert chosen[chosen.index("--image") + 1] == "kindest/node:v1.32.0"
    assert chosen[chosen.index("--config") + 1] == "mine.yaml"
    assert "--image" not in create_arguments(tmp_path, {})


@pytest.mark.parametrize("option", ["--bundle", "--process"])
def test_runc_is_asked_for_no_capability_that_the_machine_lacks(option: str, tmp_path: Path) -> None:
    wrapper = tmp_path / "runc"
    wrapper.write_text(Path(engine.__file__).with_name("runc").read_text().replace("/usr/sbin/runc", "/bin/true"))
    unknown_to_all = "CAP_NOT_OF_THIS_KERNEL"
    names = [*_held(), unknown_to_all]
    process = {"capabilities": {"bounding": names, "effective": names}, "args": ["sh"]}
    file = tmp_path / ("config.json" if option == "--bundle" else "process.json")
    file.write_text(json.dumps({"process": process} if option == "--bundle" else process))

    subprocess.run(
        [sys.executable, wrapper, "create", option, tmp_path if option == "--bundle" else file, "name"], check=True
    )
    seen = json.loads(file.read_text())
    seen = seen["process"] if option == "--bundle" else seen
    assert seen == {"capabilities": {"bounding": _held(), "effective": _held()}, "args": ["sh"]}


def _held() -> list[str]:
    """Two capabilities, those of the two that this process may have."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapBnd:"))
    bounding = int(line.split()[1], 16)
    return [name for name, number in (("CAP_CHOWN", 0), ("CAP_SYS_RESOURCE", 24)) if bounding >> number & 1]


@as_root
def test_kernel_settings_are_written_back_also_after_a_killed_run(tmp_path: Path) -> None:
    notes, setting = tmp_path / "notes.json", Path("/proc/sys", _SETTING)
    before = setting.read_text()
    with sysctls.kept(notes, (_SETTING,)):
        setting.write_text(str(int(before) + 1))
        assert sysctls.changed(notes) == [_SETTING]
        left_by_a_kill = notes.read_text()
    assert (setting.read_text(), notes.exists()) == (before, False)

    setting.write_text(str(int(before) + 1))
    notes.write_text(left_by_a_kill)
    sysctls.restore(notes)
    assert (setting.read_text(), notes.exists()) == (before, False)


@as_root
async def test_a_port_leads_into_another_network(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("inside")
    (target,) = free_ports(1)
    script = f"ip link set lo up && exec {sys.executable} -m http.server --bind 127.0.0.1 {target} -d {tmp_path}"
    inside = Server(
        "the server in another network",
        ["unshare", "--net", "sh", "-c", script],
        log=tmp_path / "inside.log",
        ready=lambda: asyncio.to_thread(_own_network, inside),
    )
    await inside.start()
    try:
        assert inside.id is not None
        pid = inside.id.pid

        def make(ports: list[int]) -> Server:
            return Server(
                "the way there",
                [sys.executable, "-m", "testbed.kind.forward", str(ports[0]), str(pid), str(target)],
                log=tmp_path / "forward.log",
                env={"PYTHONPATH": str(_TESTS)},
                ready=lambda: http_ok(f"http://127.0.0.1:{ports[0]}/index.html"),
            )

        forward = await start_on_free_ports(make, 1)
        await forward.stop()
        with pytest.raises(OSError, match="Cannot connect"):
            await http_ok(f"http://127.0.0.1:{target}/index.html")
    finally:
        await inside.kill()


def _own_network(server: Server) -> bool:
    assert server.id is not None
    return Path(f"/proc/{server.id.pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()


_HOLDING_AN_ENGINE = """
import asyncio, sys
from pathlib import Path
from testbed.kind.engine import Engine

async def main():
    await Engine.start(Path(sys.argv[1]))
    print("up", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder for containerd's sockets, whose paths have at most 104 characters."""
    with tempfile.TemporaryDirectory(prefix="kind-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@as_root
async def test_nothing_is_left_of_an_engine_whose_holder_was_killed(short_path: Path) -> None:
    progress = Progress()
    needs.install(progress, engine.PROGRAMS)
    folder = short_path / "e"
    async with lock("kind-cluster", "a kind cluster on this machine", progress):
        leftovers.begin(folder)
        with sysctls.kept(notes_of(folder), sysctls.CHANGED_BY_NODES):
            holder = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", _HOLDING_AN_ENGINE, folder),
                env={**os.environ, "PYTHONPATH": str(_TESTS)},
                stdout=asyncio.subprocess.PIPE,
            )
            try:
                assert holder.stdout is not None
                assert await holder.stdout.readline() == b"up\n"
                assert _processes(folder)
            finally:
                holder.kill()
                await holder.wait()
            # the kernel ends all of its processes
            await eventually(lambda: not _processes(folder), timeout=20)
        await leftovers.remove(folder)
        assert leftovers.found(folder) == []


def _processes(folder: Path) -> list[str]:
    return [line for line in leftovers.found(folder) if line.startswith("process")]
