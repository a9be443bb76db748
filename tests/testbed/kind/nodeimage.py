"""The image of a kind node, assembled here: Debian with systemd and containerd, kind's own files, Kubernetes' images.

It follows the Dockerfile in kind's module (images/base) and `kind build node-image`; comments name what differs.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from testbed.build import Progress
from testbed.cache import cache_root, ensure, make_once
from testbed.components import COMPONENTS
from testbed.kind import cni
from testbed.node import needs
from testbed.node.archive import Image, pack, with_libraries
from testbed.node.commands import CommandFailed, run
from testbed.node.images import busybox
from testbed.node.rootfs import debian
from testbed.process import Server

KUBERNETES = COMPONENTS["kubeadm"].version
IMAGE = f"localhost/testbed-kind-node:v{KUBERNETES}"
PROGRAMS = {"debootstrap": "debootstrap", "busybox": "busybox-static", "chroot": "coreutils"}
_PARTS = ("kubeadm", "kubelet", "kubectl", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
_COMPONENTS = (*_PARTS, "etcd", "coredns", "kind")
# bookworm: the systemd of its successor does not start on cgroup v1
_SUITE = "bookworm"
_PACKAGES = (
    "systemd,conntrack,iptables,nftables,iproute2,ethtool,util-linux,mount,kmod,libseccomp2,pigz,e2fsprogs,bash,"
    "ca-certificates,curl,jq,procps,containerd,runc,containernetworking-plugins"
)
_CONFIG = {
    "Entrypoint": ["/usr/local/bin/entrypoint", "/sbin/init"],
    "Env": ["container=docker"],
    "StopSignal": "SIGRTMIN+3",  # on which systemd ends
}
_STORAGE = """apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: standard
  annotations: {storageclass.kubernetes.io/is-default-class: "true"}
provisioner: kubernetes.io/no-provisioner
"""


async def node_image(progress: Progress) -> Path:
    """The docker-archive of `IMAGE`; made once for the same versions."""
    needs.install(progress, PROGRAMS)
    programs = {name: await ensure(name, progress) for name in _COMPONENTS}
    files = await _kinds_files()
    base = await _base(progress)
    digest = hashlib.sha256(base.name.encode())
    for name in _COMPONENTS:
        digest.update(COMPONENTS[name].key.encode())
    for source in (__file__, cni.__file__):
        digest.update(await asyncio.to_thread(Path(source).read_bytes))
    key = f"kind-node-{KUBERNETES}-{digest.hexdigest()[:12]}"
    target = cache_root() / key
    if not target.is_dir():
        for old in cache_root().glob("kind-node-*"):  # a gigabyte each, and nobody goes back to an older one
            shutil.rmtree(old, ignore_errors=True)

    async def make(folder: Path) -> None:
        progress.say("assembling the image of a kind node (about 40 s)")
        with tempfile.TemporaryDirectory(prefix="kind-node-") as work:
            root = Path(work, "root")
            await run("mkdir", root)
            await run("tar", "--extract", "--file", base / "rootfs.tar", "--directory", root, timeout=300)
            await asyncio.to_thread(_furnish, root, files, programs)
            await _import_images(root, programs, Path(work))
            layer = Path(work, "layer")
            await run("tar", "--create", "--numeric-owner", "--file", layer, "--directory", root, ".", timeout=300)
            await asyncio.to_thread(pack, layer, (IMAGE,), _CONFIG, folder / "node.tar")

    return await make_once(key, "kind-node", make, progress) / "node.tar"


async def _base(progress: Progress) -> Path:
    """The archive of the root file system before anything of kind or Kubernetes is in it; it is made once."""
    key = f"kind-base-{_SUITE}-{hashlib.sha256(_PACKAGES.encode()).hexdigest()[:8]}"

    async def make(folder: Path) -> None:
        progress.say(f"making the root of a kind node, Debian {_SUITE} with systemd, with debootstrap (about 75 s)")
        without = ("usr/share/doc", "usr/share/man", "usr/share/locale")
        await debian(_SUITE, _PACKAGES, folder / "rootfs.tar", without=without)

    return await make_once(key, "kind-base", make, progress)


async def _kinds_files() -> Path:
    """The folder `images/base/files` of kind's module."""
    recipe = COMPONENTS["kind"].recipe
    found = json.loads(await run("go", "-C", recipe, "mod", "download", "-json", "sigs.k8s.io/kind", timeout=300))
    return Path(found["Dir"], "images", "base", "files")


def _furnish(root: Path, files: Path, programs: dict[str, Path]) -> None:
    """What the Dockerfile of kind's base image does, and Kubernetes' own programs."""

    def chroot(*command: str) -> str:
        return subprocess.run(["chroot", root, *command], capture_output=True, text=True, check=True).stdout

    for file in (path for path in files.rglob("*") if path.is_file()):
        target = root / file.relative_to(files)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        target.chmod(0o755 if file.parent.name == "bin" else 0o644)
    units = root / "lib/systemd/system"
    (units / "sysinit.target.wants/systemd-tmpfiles-setup.service").unlink(missing_ok=True)
    wanted = [*units.glob("multi-user.target.wants/*"), *(root / "etc/systemd/system").glob("*.wants/*")]
    wanted += [*units.glob("local-fs.target.wants/*"), *units.glob("sockets.target.wants/*udev*")]
    wanted += [*units.glob("sockets.target.wants/*initctl*"), *units.glob("basic.target.wants/*")]
    for link in wanted:
        link.unlink()
    with (root / "etc/systemd/journald.conf").open("a") as journald:
        journald.write("ReadKMsg=no\n")
    _link(root / "sbin/init", "/lib/systemd/systemd")
    for program in ("containerd", "ctr", "containerd-shim-runc-v2"):
        _link(root / "usr/local/bin" / program, f"/usr/bin/{program}")
    (root / "opt/cni").mkdir(parents=True)
    _link(root / "opt/cni/bin", "/usr/lib/cni")
    (root / "etc/cni/net.d").mkdir(parents=True, exist_ok=True)
    chroot("systemctl", "enable", "kubelet.service", "containerd.service", "undo-mount-hacks.service")
    chroot("systemctl", "mask", "systemd-binfmt.service")
    (root / "etc/kubernetes/manifests").mkdir(parents=True)
    for name in ("kubeadm", "kubelet", "kubectl"):
        shutil.copy2(programs[name], root / "usr/bin" / name)
    _write(root / "kind/version", f"v{KUBERNETES}")
    # no kindnetd and no local-path-provisioner: neither is to be had as a module
    _write(root / "kind/manifests/default-cni.yaml", cni.MANIFEST)
    _write(root / "kind/manifests/default-storage.yaml", _STORAGE)
    _adapt(root)


def _adapt(root: Path) -> None:
    """Where a node of ours differs from kind's: it runs on cgroup v1, and without the right to lower an OOM score."""
    kubelet = root / "etc/default/kubelet"
    kubelet.write_text(f"{kubelet.read_text().rstrip()} --fail-cgroupv1=false\n")
    config = root / "etc/containerd/config.toml"
    config.write_text(config.read_text().replace("restrict_oom_score_adj = false", "restrict_oom_score_adj = true"))
    printed = subprocess.run(["chroot", root, "ctr", "oci", "spec"], capture_output=True, text=True, check=True).stdout
    spec = json.loads(printed)
    del spec["process"]["rlimits"]
    spec.setdefault("hooks", {})["createContainer"] = [{"path": "/kind/bin/mount-product-files.sh"}]
    _write(root / "etc/containerd/cri-base.json", json.dumps(spec))


async def _import_images(root: Path, programs: dict[str, Path], work: Path) -> None:
    """Kubernetes' images under the names that kubeadm asks for, into the node's own containerd."""
    wanted = (await run(programs["kubeadm"], "config", "images", "list", f"--kubernetes-version=v{KUBERNETES}")).split()
    sandbox = re.search(r'sandbox_image = "(.+)"', (root / "etc/containerd/config.toml").read_text())
    assert sandbox is not None, "kind's config of containerd has no sandbox_image"
    archives = [cni.image(programs["kubectl"], work / "cni.tar")]
    for name in wanted:
        program = name.rpartition("/")[2].partition(":")[0]
        target = work / f"{program}.tar"
        archives.append(await asyncio.to_thread(_image, name, program, sandbox[1], root, programs, target))
    async with _containerd(root, work) as socket:
        for archive in archives:
            ctr = ("ctr", "--address", socket, "-n", "k8s.io")
            await run(*ctr, "images", "import", "--no-unpack", archive, timeout=120)


def _image(name: str, program: str, sandbox: str, root: Path, programs: dict[str, Path], target: Path) -> Path:
    if program == "pause":
        names = tuple(dict.fromkeys((name, sandbox)))
        return Image(names, ("/bin/busybox", "sleep", "2147483647"), {"/bin/busybox": busybox()}).write(target)
    if program == "coredns":
        return Image((name,), ("/coredns",), {"/coredns": programs["coredns"]}).write(target)
    path = f"/usr/local/bin/{program}"
    if program != "kube-proxy":
        return Image((name,), (), {path: programs[program]}).write(target)
    files = {path: programs[program]}
    for tool in ("/usr/sbin/xtables-nft-multi", "/usr/sbin/conntrack", "/usr/sbin/nft", "/bin/kmod"):
        files |= with_libraries(Path(tool), tool, root=root)
    extensions = "/usr/lib/x86_64-linux-gnu/xtables"
    for extension in sorted((root / extensions.lstrip("/")).glob("*.so")):
        inside = f"{extensions}/{extension.name}"
        files |= with_libraries(Path(inside), inside, root=root)
    commands = [f"{family}{what}" for family in ("iptables", "ip6tables") for what in ("", "-save", "-restore")]
    links = {f"/usr/sbin/{command}": "xtables-nft-multi" for command in commands}
    env = ("PATH=/usr/local/bin:/usr/sbin:/usr/bin:/bin",)
    return Image((name,), (), files, {**links, "/usr/sbin/modprobe": "/bin/kmod"}, env=env).write(target)


@contextlib.asynccontextmanager
async def _containerd(root: Path, work: Path) -> AsyncIterator[Path]:
    """The node's containerd on its own store, for as long as images are imported; yields its socket."""
    socket = root / "run/import.sock"
    config = root / "run/import.toml"
    config.write_text(
        'version = 2\nroot = "/var/lib/containerd"\nstate = "/run/import"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "/run/import.sock"\n'
    )

    async def answers() -> bool:
        try:
            await run("ctr", "--address", socket, "--connect-timeout", "2s", "version", timeout=5)
        except CommandFailed:
            return False
        return True

    server = Server(
        "containerd of the node's image",
        ["chroot", root, "containerd", "--config", "/run/import.toml"],
        log=work / "containerd.log",
        ready=answers,
    )
    await server.start()
    try:
        yield socket
    finally:
        await server.stop()
        for left in (root / "run").glob("import*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def _link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
