"""The parts of a real node that need no root: image archives, what the machine lacks, what counts as left behind."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from testbed.node import images, leftovers
from testbed.node.archive import Image


def test_an_archive_holds_what_was_asked_for(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)
    image = Image(("example.com/tool:1",), ("/bin/tool",), {"/bin/tool": program}, {"/bin/alias": "tool"})

    with tarfile.open(image.write(tmp_path / "image.tar")) as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json"))
        assert manifest["RepoTags"] == ["example.com/tool:1"]
        config = json.load(archive.extractfile(manifest["Config"]))
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


def image_config(archive_file: Path) -> dict:
    with tarfile.open(archive_file) as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json"))
        return json.load(archive.extractfile(manifest["Config"]))["config"]


def test_the_hosts_image_has_the_program_as_default_arguments_only_as_the_official_one(tmp_path: Path) -> None:
    image = images.host_image_of(Path(sys.executable), ["1.6.0"])
    config = image_config(image.write(tmp_path / "host.tar"))
    assert (config["Entrypoint"], config["Cmd"]) == ([], ["wasmcloud"])
    assert "/usr/bin/wasmcloud" in image.files
    assert not [path for path in (*image.files, *image.links) if path.endswith("/sh")]


@pytest.mark.parametrize(
    ("arguments", "executed"),
    [
        (["-js", "--config", "/nats/nats.conf"], "server -js --config /nats/nats.conf"),
        (["nats-server", "--version"], "server --version"),
        (["/bin/echo", "other"], "other"),
    ],
)
def test_the_nats_images_entrypoint_gives_flags_alone_to_the_server(tmp_path: Path, arguments, executed) -> None:
    server = tmp_path / "nats-server"
    server.write_text('#!/bin/sh\necho server "$@"\n')
    server.chmod(0o755)
    image = images.nats_image_of(server)
    assert image_config(image.write(tmp_path / "nats.tar"))["Entrypoint"] == ["docker-entrypoint.sh"]
    script = image.files["/usr/local/bin/docker-entrypoint.sh"]
    said = subprocess.run(
        [script, *arguments], env={"PATH": f"{tmp_path}:/bin"}, capture_output=True, text=True, check=True, timeout=10
    )
    assert said.stdout.strip() == executed


async def test_nothing_of_a_node_that_never_was(tmp_path: Path) -> None:
    lines = await leftovers.found(tmp_path / "no-node")
    assert [line for line in lines if str(tmp_path) in line] == []
