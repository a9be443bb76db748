"""What the testbed is made of: each component, its version, and how it is built.

Versions stand in one place only, the recipe (`recipes/<recipe>/go.mod` or `Cargo.toml`).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

RECIPES = Path(__file__).parent / "recipes"


class Toolchain(Enum):
    """What builds a component; the value is the program it needs."""

    GO = "go"
    CARGO = "cargo"

    @property
    def how_to_get_it(self) -> str:
        return {
            Toolchain.GO: "install Go from https://go.dev/dl",
            Toolchain.CARGO: "install Rust from https://rustup.rs",
        }[self]


@dataclass(frozen=True)
class Component:
    """One program of the testbed."""

    name: str
    group: str  # what `build` takes together: core, wadm, tools, host, node, kind, matrix
    toolchain: Toolchain
    recipe_name: str
    module: str  # the Go module or crate whose version is the component's
    package: str  # what is built: a Go package, or the binary's name for cargo
    cold_seconds: int  # on two cores with empty build caches, measured
    linker_flags: str = ""  # Go: {version} is replaced
    tags: str = ""  # Go's build tags
    version_args: tuple[str, ...] = ("--version",)  # how the program prints its version

    @property
    def recipe(self) -> Path:
        return RECIPES / self.recipe_name

    @property
    def version(self) -> str:
        """As the recipe pins it, without a leading v."""
        if self.toolchain is Toolchain.GO:
            file, pattern = self.recipe / "go.mod", rf"^\s*(?:require )?{re.escape(self.module)} v(\S+)"
        else:
            file, pattern = self.recipe / "Cargo.toml", rf'^{re.escape(self.module)} = .*"=([^"]+)"'
        found = re.search(pattern, file.read_text(), re.MULTILINE)
        if found is None:
            raise LookupError(f"{file} pins no version of {self.module}")
        return found[1]

    @property
    def family(self) -> str:
        """What is built one after the other, in one folder: the releases of a crate, which share most dependencies."""
        return self.package if self.toolchain is Toolchain.CARGO else self.name

    @property
    def key(self) -> str:
        """Name of its folder in the cache: changes with the version and with anything in the recipe."""
        digest = hashlib.sha256(f"{self.package} {self.linker_flags}{self.tags}".encode())
        for file in sorted(path for path in self.recipe.rglob("*") if path.is_file() and "target" not in path.parts):
            digest.update(f"{file.relative_to(self.recipe)}\0".encode() + file.read_bytes())
        return f"{self.name}-{self.version}-{digest.hexdigest()[:12]}"


def _kubernetes(name: str, cold_seconds: int, group: str = "core") -> Component:
    stamp = "k8s.io/component-base/version"
    return Component(
        name,
        group,
        Toolchain.GO,
        "kubernetes",
        "k8s.io/kubernetes",
        f"k8s.io/kubernetes/cmd/{name}",
        cold_seconds,
        f"-X {stamp}.gitVersion=v{{version}} -X {stamp}.gitMajor={{major}} -X {stamp}.gitMinor={{minor}}",
    )


def _apiserver_of(minor: str) -> Component:
    """The API server of another minor version, of a recipe of its own.

    Before 1.31 it has cloud providers in it, one of which is no module to be had any more: it is built without them.
    """
    current = _kubernetes("kube-apiserver", cold_seconds=180, group="matrix")
    return replace(current, name=f"kube-apiserver-{minor}", recipe_name=f"kubernetes-{minor}", tags="providerless")


_WADM = Component("wadm", "wadm", Toolchain.CARGO, "wadm", "wadm", "wadm", cold_seconds=240)


def _wadm_of(minor: str) -> Component:
    """wadm of an earlier minor version, of a recipe of its own."""
    return replace(_WADM, name=f"wadm-{minor}", group="matrix", recipe_name=f"wadm-{minor}")


def _cni(name: str, kind: str) -> Component:
    module = "github.com/containernetworking/plugins"
    return Component(name, "node", Toolchain.GO, "cni", module, f"{module}/plugins/{kind}/{name}", cold_seconds=10)


_ALL = (
    Component(
        "etcd", "core", Toolchain.GO, "etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3", cold_seconds=25
    ),
    _kubernetes("kube-apiserver", cold_seconds=150),
    _kubernetes("kube-controller-manager", cold_seconds=40),
    _kubernetes("kube-scheduler", cold_seconds=5),
    Component(
        "nats-server",
        "core",
        Toolchain.GO,
        "nats-server",
        "github.com/nats-io/nats-server/v2",
        "github.com/nats-io/nats-server/v2",
        cold_seconds=30,
    ),
    Component(
        "kwok",
        "core",
        Toolchain.GO,
        "kwok",
        "sigs.k8s.io/kwok",
        "sigs.k8s.io/kwok/cmd/kwok",
        cold_seconds=60,
    ),
    _WADM,
    Component(
        "wasmcloud-host",
        "host",
        Toolchain.CARGO,
        "wasmcloud-host",
        "wasmcloud-host",
        "wasmcloud-host",
        cold_seconds=330,
    ),
    _kubernetes("kubelet", cold_seconds=25, group="node"),
    _kubernetes("kube-proxy", cold_seconds=15, group="node"),
    Component(
        "kubectl",
        "node",
        Toolchain.GO,
        "kubectl",
        "k8s.io/kubectl",
        ".",
        cold_seconds=30,
        version_args=("version", "--client"),
    ),
    Component(
        "helm",
        "tools",
        Toolchain.GO,
        "helm",
        "helm.sh/helm/v4",
        "helm.sh/helm/v4/cmd/helm",
        cold_seconds=100,
        version_args=("version", "--short"),
    ),
    Component(
        "actionlint",
        "tools",
        Toolchain.GO,
        "actionlint",
        "github.com/rhysd/actionlint",
        "github.com/rhysd/actionlint/cmd/actionlint",
        cold_seconds=20,
    ),
    _cni("bridge", "main"),
    _cni("loopback", "main"),
    _cni("host-local", "ipam"),
    Component(
        "coredns",
        "node",
        Toolchain.GO,
        "coredns",
        "github.com/coredns/coredns",
        "github.com/coredns/coredns",
        cold_seconds=120,
    ),
    Component(
        "registry",
        "node",
        Toolchain.GO,
        "registry",
        "github.com/distribution/distribution/v3",
        "github.com/distribution/distribution/v3/cmd/registry",
        cold_seconds=60,
    ),
    Component("kind", "kind", Toolchain.GO, "kind", "sigs.k8s.io/kind", "sigs.k8s.io/kind", cold_seconds=50),
    _kubernetes("kubeadm", cold_seconds=50, group="kind"),
    *(_apiserver_of(minor) for minor in ("1.29", "1.32", "1.37")),
    *(_wadm_of(minor) for minor in ("0.12", "0.13", "0.14", "0.15", "0.16", "0.17", "0.18", "0.19", "0.20")),
)
COMPONENTS = {component.name: component for component in _ALL}
GROUPS = tuple(dict.fromkeys(component.group for component in _ALL))


def select(names: list[str]) -> list[Component]:
    """The components of these names or groups, in the order they are built. Raises KeyError with the unknown name."""
    for name in names:
        if name not in COMPONENTS and name not in GROUPS:
            raise KeyError(name)
    return [component for component in _ALL if component.name in names or component.group in names]
