"""Kernel settings that a cluster changes for the whole machine; they are written back, also after a killed run."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

_ROOT = Path("/proc/sys")
# What a kubelet and systemd in a node change for the whole machine, in whatever namespace they run.
CHANGED_BY_NODES = (
    "fs/file-max",
    "fs/nr_open",
    "fs/protected_fifos",
    "fs/protected_hardlinks",
    "fs/protected_regular",
    "fs/protected_symlinks",
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/pid_max",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)


@contextlib.contextmanager
def kept(notes: Path, names: tuple[str, ...], values: Mapping[str, str] | None = None) -> Iterator[None]:
    """Sets `values`; at the end all settings that `names` or `values` names are what they were.

    `notes` is the file that remembers them, for `restore` after a run that was killed.
    """
    paths = {name: _ROOT / name for name in (*names, *(values or {})) if (_ROOT / name).exists()}
    notes.parent.mkdir(parents=True, exist_ok=True)
    notes.write_text(json.dumps({name: path.read_text().strip() for name, path in paths.items()}))
    try:
        for name, value in (values or {}).items():
            (_ROOT / name).write_text(value)
        yield
    finally:
        restore(notes)


def changed(notes: Path) -> list[str]:
    """The settings that are not as `notes` remembers them; empty where there are no notes."""
    if not notes.exists():
        return []
    before: dict[str, str] = json.loads(notes.read_text())
    return [name for name, value in before.items() if (_ROOT / name).read_text().strip() != value]


def restore(notes: Path) -> None:
    """Writes back what `notes` remembers; does nothing where there are no notes."""
    if not notes.exists():
        return
    before: dict[str, str] = json.loads(notes.read_text())
    for name in changed(notes):
        (_ROOT / name).write_text(before[name])
    notes.unlink()
