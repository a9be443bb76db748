"""`make demo` as it is where no container can run: what it shows, and that nothing of it stays."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from testbed.waiting import eventually

DEMO = ["env", "--default-signal=INT", sys.executable, str(Path(__file__).parents[1] / "demo.py")]


def what_is_in(folder: Path) -> list[str]:
    """The files of a folder, and the command lines of the processes that have to do with it."""
    found = [str(path) for path in folder.iterdir()]
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


async def started(folder: Path, stdin: int, out: BinaryIO) -> asyncio.subprocess.Process:
    env = {**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
    return await asyncio.create_subprocess_exec(*DEMO, env=env, stdin=stdin, stdout=out, stderr=out, process_group=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "temporary"
    path.mkdir()
    return path


async def test_without_a_terminal_it_shows_the_quickstart_and_ends(tmp_path: Path, folder: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as out:
        demo = await started(folder, subprocess.DEVNULL, out)
    async with asyncio.timeout(120):
        assert await demo.wait() == 0, log.read_text()
    shown = log.read_text()
    steps = (
        "kubectl wasmcloud ui",
        "http://127.0.0.1:",
        "without its Secret",
        "SecretNotFound",
        "now its Secret",
        "HostsInLattice: 2 of 2",
        "everything is stopped",
    )
    places = [shown.index(step) for step in steps]
    assert places == sorted(places), shown
    rows = [line.split() for line in shown.splitlines()]
    assert ["my-wasmcloud-cluster", "2/2", "2", "2"] in [row[:4] for row in rows], shown
    assert not what_is_in(folder)


async def test_ctrl_c_takes_it_down(tmp_path: Path, folder: Path) -> None:
    terminal, its_end = pty.openpty()
    log = tmp_path / "log"
    with log.open("wb") as out:
        demo = await started(folder, its_end, out)
    try:
        await eventually(lambda: "Ctrl-C takes all of it down" in log.read_text(), timeout=120)
        assert what_is_in(folder)
        os.killpg(demo.pid, signal.SIGINT)
        async with asyncio.timeout(30):
            assert await demo.wait() == 0, log.read_text()
    finally:
        with contextlib.suppress(ProcessLookupError):
            demo.kill()
        await demo.wait()
        os.close(terminal)
        os.close(its_end)
    printed = log.read_text()
    assert printed.rstrip().endswith("everything is stopped"), printed
    assert "Traceback" not in printed
    assert not what_is_in(folder)
