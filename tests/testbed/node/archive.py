"""Container images without a registry or a container engine: a docker-archive of one layer, put together from files."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_EPOCH = 0  # the same files give the same image, so what was imported before is not imported again


@dataclass(frozen=True)
class Image:
    """What an image holds. `files` maps a path in the image to a file of this machine."""

    names: tuple[str, ...]
    entrypoint: tuple[str, ...]
    files: Mapping[str, Path]
    links: Mapping[str, str] = field(default_factory=dict)  # path in the image -> what it points to
    texts: Mapping[str, str] = field(default_factory=dict)
    trees: Mapping[str, Path] = field(default_factory=dict)  # whole folders
    env: Sequence[str] = ("PATH=/usr/local/bin:/usr/bin:/bin",)
    command: tuple[str, ...] = ()

    def write(self, target: Path) -> Path:
        """The archive that `ctr images import` and `docker load` take."""
        layer = target.with_suffix(".layer")
        self._write_layer(layer)
        config = {"Entrypoint": list(self.entrypoint), "Cmd": list(self.command), "Env": list(self.env)}
        return pack(layer, self.names, config, target)

    def _write_layer(self, target: Path) -> None:
        paths = [*self.files, *self.links, *self.texts, *(f"{tree}/-" for tree in self.trees)]
        folders = {str(parent) for path in paths for parent in Path(path).parents if str(parent) != "/"} | {"/tmp"}
        with tarfile.open(target, "w") as layer:
            for folder in sorted(folders):
                entry = tarfile.TarInfo(folder.lstrip("/"))
                entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "/tmp" else 0o755
                layer.addfile(entry)
            for path, source in sorted(self.files.items()):
                layer.add(source.resolve(), path.lstrip("/"), filter=_anonymous)
            for path, points_to in sorted(self.links.items()):
                entry = tarfile.TarInfo(path.lstrip("/"))
                entry.type, entry.linkname = tarfile.SYMTYPE, points_to
                layer.addfile(entry)
            for path, text in sorted(self.texts.items()):
                _add_bytes(layer, path.lstrip("/"), text.encode())
            for path, tree in sorted(self.trees.items()):
                layer.add(tree, path.lstrip("/"), filter=_anonymous)


def pack(layer: Path, names: Sequence[str], config: Mapping[str, object], target: Path) -> Path:
    """The archive of an image that is one layer, a tar file, which it takes the place of."""
    digest = _sha256(layer)
    description = {
        "architecture": "amd64",
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    text = json.dumps(description).encode()
    config_name = f"{hashlib.sha256(text).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": list(names), "Layers": [f"{digest}/layer.tar"]}]
    with tarfile.open(target, "w") as archive:
        _add_bytes(archive, config_name, text)
        archive.add(layer, f"{digest}/layer.tar", filter=_anonymous)
        _add_bytes(archive, "manifest.json", json.dumps(manifest).encode())
    layer.unlink()
    return target


def with_libraries(program: Path, path: str, *, root: Path = Path("/")) -> dict[str, Path]:
    """The `files` of an image for a program that is linked dynamically: itself at `path`, its libraries and loader.

    All of them are taken from the file system `root`.
    """
    command = [*(() if root == Path("/") else ("chroot", root)), "ldd", program]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    libraries = re.findall(r"(?:=> )?(/\S+) \(0x", printed)
    return {
        name: _resolved(root, file) for name, file in {path: str(program), **{one: one for one in libraries}}.items()
    }


def _resolved(root: Path, path: str) -> Path:
    """The file that `path` names in the file system `root`, where links are meant within it."""
    found = os.path.realpath(root / path.lstrip("/"))
    return Path(found) if Path(found).is_relative_to(root) else _resolved(root, found)


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = _EPOCH
    return entry


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o644
    archive.addfile(entry, io.BytesIO(content))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
