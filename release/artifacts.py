"""Everything of a release that needs no hosting service, in dist/, each part checked as its users take it.

Wheels and sdists of both distributions, the charts as packages, install.yaml, and checksums of all of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

import yaml
from packaging.metadata import Metadata
from version import current, for_python

from support.kube.helm import OPERATOR_CHART, PLATFORM_CHART, Helm
from testbed.cache import ensure

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
DISTRIBUTIONS = {"types": "wasmcloud-operator-types", "operator": "wasmcloud-operator"}


class NotReleasable(Exception):
    """The text names the file and what is wrong with it."""


def run(*command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> str:
    """Returns the output. Raises NotReleasable with what the program printed."""
    done = subprocess.run(  # noqa: S603 - our own commands
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False
    )
    if done.returncode:
        raise NotReleasable(f"{' '.join(map(str, command))}: {done.stdout}")
    return done.stdout


def build(folder: str, target: Path) -> None:
    """The sdist, and the wheel made of it: what the sdist lacks, the wheel would lack."""
    # The same commit makes the same bytes.
    stamp = run("git", "log", "-1", "--format=%ct").strip()
    env = os.environ | {"SOURCE_DATE_EPOCH": stamp}
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", target, cwd=ROOT / folder, env=env)
    (sdist,) = target.glob(f"{DISTRIBUTIONS[folder].replace('-', '_')}-[0-9]*.tar.gz")
    with tempfile.TemporaryDirectory() as unpacked:
        with tarfile.open(sdist) as archive:
            archive.extractall(unpacked, filter="data")
        source = Path(unpacked, sdist.name.removesuffix(".tar.gz"))
        run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", target, cwd=source, env=env)


def check_wheel(wheel: Path, name: str, version: str) -> None:
    """Metadata that an index takes, the licence, and the marker of typed packages."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (file,) = (each for each in names if each.endswith(".dist-info/METADATA"))
        metadata = Metadata.from_email(archive.read(file), validate=True)
        licences = [each for each in names if each.endswith(".dist-info/licenses/LICENSE")]
        if not licences or archive.read(licences[0]) != (ROOT / "LICENSE").read_bytes():
            raise NotReleasable(f"{wheel.name} has not the repository's LICENSE")
    if (metadata.name, str(metadata.version)) != (name, version):
        raise NotReleasable(f"{wheel.name} is {metadata.name} {metadata.version}, not {name} {version}")
    if metadata.license_expression != "Apache-2.0" or not metadata.description or metadata.requires_python is None:
        raise NotReleasable(f"{wheel.name} lacks its licence expression, description or Requires-Python")
    if not any(each.endswith("/py.typed") for each in names):
        raise NotReleasable(f"{wheel.name} has no py.typed")
    if strange := [each for each in names if "tests/" in each or each.endswith(".pyc")]:
        raise NotReleasable(f"{wheel.name} has files that do not belong there: {', '.join(strange[:3])}")


def try_wheels(wheels: list[Path], version: str) -> None:
    """Installs the wheels with what the image has, into an environment that is empty, and runs the commands there."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "bin", "python")
        pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        run(*pip, "--require-hashes", "-r", "requirements.lock")
        run(*pip, "--no-deps", *wheels)
        run(python, "-m", "pip", "check", "--disable-pip-version-check")
        told = run(Path(folder, "bin", "wasmcloud-operator"), "--version", cwd=Path(folder))
        if version not in told:
            raise NotReleasable(f"the installed command is {told.strip()}, not {version}")
        printed = run(Path(folder, "bin", "wasmcloud-operator"), "crds", cwd=Path(folder))
        kept = [yaml.safe_load(file.read_text()) for file in (ROOT / "manifests" / "crds").glob("*.yaml")]
        if sorted(map(str, yaml.safe_load_all(printed))) != sorted(map(str, kept)):
            raise NotReleasable("the installed command prints other CRDs than manifests/crds has")
        run(Path(folder, "bin", "kubectl-wasmcloud"), "--help", cwd=Path(folder))


async def charts(target: Path) -> None:
    """Packages both charts and renders the packages; install.yaml is the operator's chart and its namespace."""
    with tempfile.TemporaryDirectory() as folder:
        helm = Helm(await ensure("helm"), Path(folder))
        for chart in (OPERATOR_CHART, PLATFORM_CHART):
            await helm.run("lint", "--strict", str(chart))
            await helm.run("package", str(chart), "--destination", str(target))
            if not await helm.template(target / f"{chart.name}-{current()}.tgz"):
                raise NotReleasable(f"the package of {chart.name} renders nothing")
        namespace = (ROOT / "manifests" / "base" / "namespace.yaml").read_text(encoding="utf-8")
        package = str(target / f"{OPERATOR_CHART.name}-{current()}.tgz")
        rendered = await helm.run("template", "wasmcloud-operator", package, "--namespace", "wasmcloud-operator")
    (target / "install.yaml").write_text(namespace + rendered, encoding="utf-8")
    kinds = [body["kind"] for body in yaml.safe_load_all(namespace + rendered) if body]
    if not {"Namespace", "CustomResourceDefinition", "ClusterRole", "Deployment"} <= set(kinds):
        raise NotReleasable(f"install.yaml has only {', '.join(sorted(set(kinds)))}")


def main() -> int:
    """Builds and checks all of it; the exit code is 1 with the reason where something is not as a user needs it."""
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    version = for_python(current())
    try:
        for folder in DISTRIBUTIONS:
            build(folder, DIST)
        run(sys.executable, "-m", "towncrier", "build", "--draft", "--version", current())
        wheels = sorted(DIST.glob("*.whl"))
        for wheel in wheels:
            name = next(each for each in DISTRIBUTIONS.values() if wheel.name.startswith(f"{each.replace('-', '_')}-"))
            check_wheel(wheel, name, version)
        try_wheels(wheels, version)
        asyncio.run(charts(DIST))
    except NotReleasable as error:
        print(error, file=sys.stderr)
        return 1
    files = sorted(DIST.iterdir())
    sums = "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)
    (DIST / "SHA256SUMS").write_text(sums, encoding="utf-8")
    print(sums, end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
