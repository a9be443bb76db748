"""Mutation testing: each small change of a decision module that no unit test notices has to be explained.

mutmut takes one source folder named `src`, so both packages and their unit tests are laid out like that in
`build/mutation`. Those that were examined are tried, or the modules that are named: `python -m mutation kube/queue`.
Prints each survivor that the table of docs/mutation.md does not explain, and each explanation that no longer applies.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from mutation.table import Mutant, explained

_ROOT = Path(__file__).parents[2]
_STAGE = _ROOT / "build" / "mutation"
_MUTMUT = Path(sys.executable).with_name("mutmut")
_PACKAGE = "wasmcloud_operator"
_COPIED = {
    "operator/src/wasmcloud_operator": "src/wasmcloud_operator",
    "types/src/wasmcloud_operator_types": "src/wasmcloud_operator_types",
    "tests": "tests",
    "docs/reference": "docs/reference",
    "manifests": "manifests",
}
# mutmut's codes of a mutant that all tests passed, and of one in a function that no test calls.
_SURVIVED, _UNTESTED = 0, 33

# The decision modules whose survivors were all examined.
EXAMINED = (
    "kube/backoff",
    "kube/difference",
    "kube/following",
    "kube/write_rate",
    "hostpool/merge",
    "hostpool/versions",
    "expose/placement",
    "application/lattice_choice",
)


def main() -> int:
    """Try the mutants of the modules. Returns 1 if one survived that is not explained, else 0."""
    modules = sys.argv[1:] or list(EXAMINED)
    _lay_out(modules)
    command = [_MUTMUT, "run", "--max-children", os.environ.get("MUTANT_PROCESSES", "2")]
    subprocess.run(command, cwd=_STAGE, check=True)
    survivors = set(_survivors())
    known = {mutant for mutant in explained() if mutant.module in modules}
    for mutant in sorted(survivors - known):
        print(f"survived: {mutant}")
    for mutant in sorted(known - survivors):
        print(f"killed now, so docs/mutation.md need not explain it: {mutant}")
    print(f"{len(survivors)} survivors, {len(survivors & known)} of them explained")
    return int(not survivors <= known)


def _lay_out(modules: list[str]) -> None:
    shutil.rmtree(_STAGE, ignore_errors=True)
    for source, target in _COPIED.items():
        shutil.copytree(_ROOT / source, _STAGE / target, ignore=shutil.ignore_patterns("__pycache__"))
    pytest_settings = (_ROOT / "pyproject.toml").read_text().split("[tool.pytest.ini_options]")[1].split("\n[")[0]
    settings = {
        "source_paths": ["src"],
        "only_mutate": [f"src/{_PACKAGE}/{module}.py" for module in modules],
        "also_copy": ["docs", "manifests"],
        # The same examples each time, so that a mutant does not survive by chance.
        "pytest_add_cli_args": ["--hypothesis-seed=0"],
        "pytest_add_cli_args_test_selection": sorted({test for module in modules for test in _tests_of(module)}),
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    text = "\n".join(("[tool.pytest.ini_options]", pytest_settings, "[tool.mutmut]", *lines, ""))
    (_STAGE / "pyproject.toml").write_text(text)


def _tests_of(module: str) -> list[str]:
    """Returns the unit tests that import the module: those that others pass by on their way take too long."""
    folder, _, name = module.rpartition("/")
    dotted = rf"{_PACKAGE}\.{folder}"
    imported = re.compile(rf"from {dotted}\.{name} import|from {dotted} import .*\b{name}\b")
    tests = (_ROOT / "tests/unit").rglob("test_*.py")
    return [str(test.relative_to(_ROOT)) for test in tests if imported.search(test.read_text())]


def _survivors() -> list[Mutant]:
    found = []
    for file in sorted((_STAGE / "mutants/src").rglob("*.py.meta")):
        codes = json.loads(file.read_text())["exit_code_by_key"]
        found += [_shown(name) for name, code in codes.items() if code in (_SURVIVED, _UNTESTED)]
    return found


def _shown(name: str) -> Mutant:
    """Returns the mutant of that name, with the lines in which it differs."""
    diff = subprocess.run([_MUTMUT, "show", name], cwd=_STAGE, check=True, capture_output=True, text=True).stdout
    lines = re.findall(r"^([-+])(?![-+])[ ]*(.*)$", diff, re.MULTILINE)
    before, after = (" ".join(text for sign, text in lines if sign == wanted) for wanted in "-+")
    dotted, _, _ = name.rpartition("__mutmut_")
    module, _, mangled = dotted.removeprefix(f"{_PACKAGE}.").rpartition(".")
    function = re.sub(r"^x(_|ǁ)", "", mangled).replace("ǁ", ".")
    return Mutant(module.replace(".", "/"), function, before, after)


if __name__ == "__main__":
    sys.exit(main())
