"""The version of everything that is released stands in VERSION; python release/version.py [--check | NEW].

Without arguments it is printed; NEW writes it into VERSION and every place that repeats it; --check names the places
that differ.
"""

from __future__ import annotations

import re
import sys
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "VERSION"
_VERSION = re.compile(r"\d+\.\d+\.\d+(?:-rc\.\d+)?")

# Each pattern's one group is the version, in every match.
PLACES: tuple[tuple[str, str, int], ...] = (
    ("types/pyproject.toml", r'^version = "([^"]+)"', 1),
    ("operator/pyproject.toml", r'^version = "([^"]+)"', 1),
    ("operator/pyproject.toml", r'"wasmcloud-operator-types>=([^"]+)"', 1),
    ("manifests/base/kustomization.yaml", r"newTag: (\S+)", 1),
    ("manifests/chart/wasmcloud-operator/Chart.yaml", r"^(?:version|appVersion): (\S+)", 2),
    ("manifests/chart/wasmcloud-platform/Chart.yaml", r"^ *(?:version|appVersion): (\S+)", 3),
    ("README.md", r"REGISTRY/wasmcloud-operator:(\d+\.\d+\.\d+(?:-rc\.\d+)?)", 2),
)


def current() -> str:
    """The version, as charts and images have it."""
    return SOURCE.read_text(encoding="utf-8").strip()


def for_python(version: str) -> str:
    """The same as Python's packages have it: 1.2.0rc1 for 1.2.0-rc.1."""
    return version.replace("-rc.", "rc")


def problems(root: Path, version: str) -> list[str]:
    """One sentence for each place that does not have the version."""
    found = []
    for name, pattern, count in PLACES:
        wanted = for_python(version) if name.endswith(".toml") else version
        there = re.findall(pattern, (root / name).read_text(encoding="utf-8"), re.MULTILINE)
        if len(there) != count:
            found.append(f"{name}: {len(there)} places match {pattern!r}, not {count}: mend release/version.py")
        elif set(there) != {wanted}:
            found.append(f"{name} has {', '.join(there)}, VERSION {wanted}: run python release/version.py {version}")
    return found


def write(root: Path, version: str) -> None:
    """Writes the version into every place."""
    for name, pattern, _ in PLACES:
        file = root / name
        wanted = for_python(version) if name.endswith(".toml") else version
        replaced = re.sub(pattern, partial(_with, wanted), file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        file.write_text(replaced, encoding="utf-8")


def _with(version: str, match: re.Match[str]) -> str:
    start, end = match.start(1) - match.start(), match.end(1) - match.start()
    return match[0][:start] + version + match[0][end:]


def main(arguments: list[str]) -> int:
    """Prints, checks or sets the version; the exit code is 1 where something differs, 2 for no version."""
    if not arguments:
        print(current())
        return 0
    if arguments == ["--check"]:
        found = problems(ROOT, current())
        sys.stdout.writelines(f"{problem}\n" for problem in found)
        return 1 if found else 0
    (version,) = arguments
    if not _VERSION.fullmatch(version):
        print(f"{version} is no version: write 1.2.3 or 1.2.3-rc.1", file=sys.stderr)
        return 2
    SOURCE.write_text(f"{version}\n", encoding="utf-8")
    write(ROOT, version)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
