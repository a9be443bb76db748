"""The parts of a real node that need no root: image archives, what the machine lacks, what counts as left behind."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

from testbed.node import leftovers
from testbed.node.archive import Image


def test_an_archive_holds_what_was_asked_for(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)
    image = Image(("example.com/tool:1",), ("/bin/tool",), {"/bin/tool": program}, {"/bin/alias": "tool"})

    with tarfile.open(image.write(tmp_path / "image.tar")) as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        assert manifest["RepoTags"] == ["example.com/tool:1"]
        config = json.load(archive.extractfile(manifest["Config"]))  # type: ignore[arg-type]
        assert config["config"]["Entrypoint"] == ["/bin/tool"]
        layer_name = manifest["Layers"][0]
        assert config["rootfs"]["diff_ids"] == [f"sha256:{layer_name.split('/')[0]}"]
        with tarfile.open(fileobj=archive.extractfile(layer_name)) as layer:
            entries = {entry.name: entry for entry in layer.getmembers()}
            assert entries["bin/tool"].mode == 0o755
            assert entries["bin/alias"].linkname == "tool"
            assert entries["tmp"].mode == 0o1777


def test_the_same_files_give_the_same_archive(tmp_path: Path) -> None:
    first = Image(("a:1",), (), {}, texts={"/etc/x": "y"}).write(tmp_path / "first.tar")
    second = Image(("a:1",), (), {}, texts={"/etc/x": "y"}).write(tmp_path / "second.tar")
    with tarfile.open(first) as one, tarfile.open(second) as other:
        assert one.getnames() == other.getnames()


async def test_nothing_of_a_node_that_never_was(tmp_path: Path) -> None:
    lines = await leftovers.found(tmp_path / "no-node")
    assert [line for line in lines if str(tmp_path) in line] == []
