"""What a node leaves on a machine, found and removed: also after a node that was killed.

Everything is found by the node's own folder, bridge and cgroups, so nothing that belongs to somebody else is touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from pathlib import Path

from testbed.node import cgroups, network, sysctls
from testbed.node.commands import CommandFailed, run
from testbed.process import ProcessId

_CONTAINER_LOGS = Path("/var/log/containers")
_CNI_RESULTS = Path("/var/lib/cni/results")  # where libcni remembers what it has set up; containerd cannot move it


async def found(folder: Path) -> list[str]:
    """Everything of a node with this folder that is there, a line each; empty when nothing is left."""
    lines = [f"process {line}" for line in processes(folder, cgroups.ROOT).values()]
    lines += [f"kernel setting {name}" for name in sysctls.changed(notes_of(folder))]
    lines += [f"mount {path}" for path in _mounts(folder)]
    lines += [f"cgroup {path}" for path in cgroups.existing()]
    lines += [f"interface {name}" for name in await network.interfaces()]
    if shutil.which("nft") and os.geteuid() == 0:
        lines += [f"nft {table}" for table in await network.tables() if table.endswith(" kube-proxy")]
    lines += [f"file {path}" for path in [*_log_links(folder), *_cni_results(folder)]]
    return lines


async def remove(folder: Path) -> None:
    """End the node's processes, then its mounts, network, cgroups and folder."""
    sockets = _shim_sockets(folder)
    await end_processes(folder, cgroups.ROOT)
    for path in reversed(_mounts(folder)):
        with contextlib.suppress(CommandFailed):
            await run("umount", "--lazy", path)
    if shutil.which("nft") and os.geteuid() == 0:
        await network.remove()
    await cgroups.remove()
    for file in [*sockets, *_log_links(folder), *_cni_results(folder)]:
        file.unlink(missing_ok=True)
    sysctls.restore(notes_of(folder))
    shutil.rmtree(folder, ignore_errors=True)


def notes_of(folder: Path) -> Path:
    """Where a cluster notes the kernel settings that it changes."""
    return folder / "sysctls.json"


def processes(folder: Path, cgroup: str) -> dict[ProcessId, str]:
    """Those that name the folder in their command line, and everything in the pods' cgroups; never this one.

    Each with its number and its command.
    """
    pids = {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    ours = {pid for pid in pids if f"{folder}/" in _command(pid)}
    for one in cgroups.existing(cgroup):
        with contextlib.suppress(OSError):
            ours |= {int(pid) for pid in (one / "cgroup.procs").read_text().split()}
    known = {pid: ProcessId.of(pid) for pid in sorted(ours - {os.getpid()})}
    return {process: f"{pid} {_command(pid)}" for pid, process in known.items() if process is not None}


async def end_processes(folder: Path, cgroup: str) -> None:
    """All of them, with those that they start meanwhile."""
    for _ in range(50):
        left = processes(folder, cgroup)
        if not left:
            break
        for process in left:
            process.signal(signal.SIGKILL)
        await asyncio.sleep(0.1)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def _mounts(folder: Path) -> list[str]:
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [point for point in points if point.startswith(f"{folder}/")]


def _log_links(folder: Path) -> list[Path]:
    """The links to container logs that a kubelet makes outside its folder."""
    if not _CONTAINER_LOGS.is_dir():
        return []
    links = (path for path in _CONTAINER_LOGS.iterdir() if path.is_symlink())
    return [path for path in links if str(path.readlink()).startswith(f"{folder}/")]


def _cni_results(folder: Path) -> list[Path]:
    """The results of those pods whose network namespace was below the folder."""
    return [path for path in sorted(_CNI_RESULTS.glob("*")) if f"{folder}/" in path.read_text(errors="replace")]


def _shim_sockets(folder: Path) -> list[Path]:
    """containerd's shims put their sockets into a folder of the machine; each bundle says which."""
    found = folder.glob("containerd-state/io.containerd.runtime.v2.task/*/*/address")
    return [Path(file.read_text().strip().removeprefix("unix://")) for file in found]
