"""A testbed that outlives the command that starts it: its state in a folder, a supervisor process that holds it.

The supervisor's children die with it; `down` goes by process id and start time, so it never signals a stranger.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from testbed import stack
from testbed.build import Progress
from testbed.cache import lock
from testbed.process import ComponentFailed, ProcessId, log_tail
from testbed.waiting import eventually

_STATE = "state.json"


class StateProblem(RuntimeError):
    """What is in the state folder does not allow what was asked; the text says what to do."""


@dataclass(frozen=True)
class State:
    """What is known of a testbed in the background."""

    supervisor: ProcessId
    parts: frozenset[str]
    processes: dict[str, ProcessId]  # by component; empty while it starts

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """None when there is none in this folder."""
        try:
            data = json.loads((folder / _STATE).read_text())
        except FileNotFoundError:
            return None
        processes = {name: ProcessId(**process) for name, process in data["processes"].items()}
        return cls(ProcessId(**data["supervisor"]), frozenset(data["parts"]), processes)

    def save(self, folder: Path) -> None:
        processes = {name: asdict(process) for name, process in self.processes.items()}
        data = {"supervisor": asdict(self.supervisor), "parts": sorted(self.parts), "processes": processes}
        partial = folder / f"{_STATE}.partial"
        partial.write_text(json.dumps(data, indent=2))
        partial.rename(folder / _STATE)


async def up(folder: Path, parts: frozenset[str], *, nodes: int, audit: bool, progress: Progress) -> bool:
    """Start a testbed that goes on in the background; False when it runs already.

    Writes `kubeconfig` and `env` (shell: `export KUBECONFIG=…`, `export NATS_URL=…`) into the folder. Raises
    `StateProblem` when one runs that lacks a part, `ComponentFailed` with the end of the log when it does not start.
    """
    async with _locked(folder, progress):
        state = State.load(folder)
        if state and state.supervisor.alive:
            if missing := stack.with_needs(parts) - state.parts:
                raise StateProblem(
                    f"the testbed in {folder} runs without {', '.join(sorted(missing))}: take it down first"
                )
            return False
        await _remove(folder, state)
        process = _spawn_supervisor(folder, parts, nodes, audit)
        try:
            await _until_up(folder, process, progress)
        except BaseException:
            process.terminate()  # it takes the components down
            process.wait()
            raise
        return True


async def _until_up(folder: Path, process: subprocess.Popen[bytes], progress: Progress) -> None:
    started = time.monotonic()
    while not await asyncio.to_thread((folder / "env").exists):
        if process.poll() is not None:
            tail = log_tail(_supervisor_log(folder))
            raise ComponentFailed(f"the testbed did not start; its logs are in {folder / 'logs'}; the end:\n{tail}")
        progress.update(f"  starting the testbed: {time.monotonic() - started:.0f} s of about 5 s")
        await asyncio.sleep(0.1)


async def down(folder: Path, progress: Progress) -> bool:
    """Stop every process of the testbed and remove its state; False when there was none."""
    async with _locked(folder, progress):
        state = State.load(folder)
        if state is None:
            return False
        state.supervisor.signal(signal.SIGTERM)
        started = time.monotonic()
        while state.supervisor.alive:
            if time.monotonic() - started > 30:
                state.supervisor.signal(signal.SIGKILL)  # its children die with it
            progress.update(f"  stopping the testbed: {time.monotonic() - started:.0f} s")
            await asyncio.sleep(0.05)
        await _remove(folder, state)
        return True


async def serve(folder: Path, parts: frozenset[str], *, nodes: int, audit: bool) -> None:
    """What the supervisor does: hold a testbed until it is cancelled, and say when a component ends by itself."""
    own = ProcessId.of(os.getpid())
    assert own is not None
    parts = stack.with_needs(parts)
    State(own, parts, {}).save(folder)
    async with stack.running(folder, parts, nodes=nodes, audit=audit) as testbed:
        processes = {server.name: server.id for server in testbed.servers if server.id}
        State(own, parts, processes).save(folder)
        shutil.copy2(testbed.env["KUBECONFIG"], folder / "kubeconfig")
        _write_env(folder, testbed.env | {"KUBECONFIG": str(folder / "kubeconfig")})
        ended: set[str] = set()
        while True:
            for server in testbed.servers:
                if not server.running and server.name not in ended:
                    ended.add(server.name)
                    print(f"{server.name} ended by itself; its log is {server.log}", flush=True)
            await asyncio.sleep(1)


def _write_env(folder: Path, env: dict[str, str]) -> None:
    """Written last and at once: its being there says that the testbed is up."""
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in env.items()]
    partial = folder / "env.partial"
    partial.write_text("".join(lines))
    partial.rename(folder / "env")


def _spawn_supervisor(folder: Path, parts: frozenset[str], nodes: int, audit: bool) -> subprocess.Popen[bytes]:
    log = _supervisor_log(folder)
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "testbed", "serve", "--state", str(folder), "--nodes", str(nodes)]
    command += ["--with", ",".join(sorted(parts))] + (["--audit"] if audit else [])
    with log.open("wb") as out:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )


async def _remove(folder: Path, state: State | None) -> None:
    """End what is left of a testbed, and remove its folder. Raises `StateProblem` for a folder of somebody else."""
    for process in state.processes.values() if state else ():
        process.signal(signal.SIGKILL, group=True)
        await eventually(functools.partial(_is_gone, process), message=f"the end of process {process.pid}")
    if state is None and not _is_ours(folder):
        raise StateProblem(f"{folder} holds something else than a testbed: name another folder")
    shutil.rmtree(folder, ignore_errors=True)


def _is_gone(process: ProcessId) -> bool:
    return not process.alive


def _is_ours(folder: Path) -> bool:
    return not folder.exists() or not any(folder.iterdir()) or _supervisor_log(folder).exists()


def _supervisor_log(folder: Path) -> Path:
    return folder / "logs" / "supervisor.log"


@contextlib.asynccontextmanager
async def _locked(folder: Path, progress: Progress) -> AsyncIterator[None]:
    name = f"state-{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"
    async with lock(name, f"another command on {folder}", progress):
        yield
