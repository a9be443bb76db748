"""What a kind cluster leaves on a machine, found and removed: also after a run that was killed.

Its containers, mounts and network are in namespaces that end with the engine. What is left are files, cgroups, and the
kernel's settings.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from testbed.kind.engine import CGROUP
from testbed.node import cgroups, sysctls
from testbed.node.leftovers import end_processes, notes_of, processes

MODULES = Path("/lib/modules")


def begin(folder: Path) -> None:
    """Makes the folder. The engine makes /lib/modules where it is missing, since kind mounts it: notes that it was."""
    folder.mkdir(parents=True)
    if not MODULES.exists():
        _modules_note(folder).touch()


def found(folder: Path) -> list[str]:
    """Everything of a cluster with this folder that is there, a line each; empty when nothing is left."""
    lines = [f"process {line}" for line in processes(folder, CGROUP).values()]
    lines += [f"cgroup {path}" for path in cgroups.existing(CGROUP)]
    lines += [f"kernel setting {name}" for name in sysctls.changed(notes_of(folder))]
    lines += [f"file {path}" for path in folder.glob("*")]
    return lines


async def remove(folder: Path) -> None:
    """End the cluster's processes, then its cgroups, settings and files."""
    await end_processes(folder, CGROUP)
    await cgroups.remove(CGROUP)
    sysctls.restore(notes_of(folder))
    _remove_files(folder)


def _remove_files(folder: Path) -> None:
    if _modules_note(folder).exists():
        with contextlib.suppress(OSError):  # not empty: somebody else has put something there
            MODULES.rmdir()
    shutil.rmtree(folder, ignore_errors=True)


def _modules_note(folder: Path) -> Path:
    return folder / "no-modules"
