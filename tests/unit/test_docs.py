"""The documents name only what exists: links, files, functions, tests, make targets, metrics, annotations, settings."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

from testbed.supported import table
from wasmcloud_operator.cli import main
from wasmcloud_operator.settings import Settings

ROOT = Path(__file__).parents[2]
CODE = ROOT / "operator" / "src" / "wasmcloud_operator"
# What paths in the documents may be relative to, besides the document's own folder.
BASES = (ROOT, CODE, ROOT / "tests")
# A page about one package names its modules without the folder.
PAGE_BASES = {
    "docs/machinery.md": (CODE / "kube", ROOT / "tests" / "unit" / "kube", ROOT / "tests" / "integration"),
    "docs/lattice.md": (CODE / "lattice",),
}

METRICS_PREFIX = "wasmcloud_operator"

_FENCE = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE_SPAN = re.compile(r"`([^`\n]+)`")
_FUNCTION = re.compile(r"(?P<file>[\w./-]+\.py):(?P<name>[A-Za-z_][\w.]*)")
_TEST = re.compile(r"(?P<file>[\w./-]+\.py)::(?P<name>\w+)")
_PATH = re.compile(r"\.?\w[\w.-]*(?:/[\w.-]+)*/?")
_FILE_NAME = re.compile(r"[\w-]+\.(?:py|md|toml)")


def tracked(*patterns: str) -> list[str]:
    """Tracked files and those about to be, below the root."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return [name for name in listed if (ROOT / name).exists()]


DOCUMENTS = tracked("*.md")
TOP_FOLDERS = {name.split("/")[0] for name in tracked() if "/" in name}
CODE_FOLDERS = {path.name for path in CODE.iterdir() if path.is_dir() and path.name != "__pycache__"}


def spans(document: str) -> list[str]:
    """The texts in backticks outside of code blocks."""
    return _CODE_SPAN.findall(_FENCE.sub("", (ROOT / document).read_text()))


def found(document: str, path: str) -> Path | None:
    """The file or folder that a document means by a path."""
    bases = (*PAGE_BASES.get(document, ()), (ROOT / document).parent, *BASES)
    return next((base / path for base in bases if (base / path).exists()), None)


@cache
def names_in(file: Path) -> frozenset[str]:
    """Every function, class and constant of a module by its dotted name, and nested functions by their own as well."""
    names: set[str] = set()

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.update({prefix + child.name, child.name} if prefix else {child.name})
                visit(child, f"{prefix}{child.name}.")
            elif isinstance(child, ast.Assign):
                names.update(prefix + target.id for target in child.targets if isinstance(target, ast.Name))
            elif isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name):
                names.add(prefix + child.target.id)

    visit(ast.parse(file.read_text()), "")
    return frozenset(names)


def looks_like_a_path(span: str) -> bool:
    """Whether a text in backticks is a path of this repository rather than of a cluster, a subject or a URL."""
    if not _PATH.fullmatch(span):
        return False
    if "/" not in span:
        return _FILE_NAME.fullmatch(span) is not None
    return span.partition("/")[0] in TOP_FOLDERS | CODE_FOLDERS


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_relative_link_leads_to_a_file(document):
    text = _FENCE.sub("", (ROOT / document).read_text())
    links = [link for link in _LINK.findall(text) if not re.match(r"[a-z]+:|#", link)]
    missing = [link for link in links if not ((ROOT / document).parent / link.partition("#")[0]).exists()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_function_that_is_named_with_its_file_exists(document):
    missing = []
    for span in spans(document):
        for match in (*_FUNCTION.finditer(span), *_TEST.finditer(span)):
            file = found(document, match["file"])
            if file is None or match["name"] not in names_in(file):
                missing.append(match[0])
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_in_backticks_exists(document):
    assert not [span for span in spans(document) if looks_like_a_path(span) and found(document, span) is None]


@cache
def texts_in_code() -> str:
    """All string constants of the product, f-strings with the metrics' prefix in place of their variables."""
    files = [ROOT / name for name in tracked("operator/src/*.py", "types/src/*.py")]
    found = []
    for node in (node for file in files for node in ast.walk(ast.parse(file.read_text()))):
        if isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else METRICS_PREFIX for part in node.values)
            found.append("".join(map(str, parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return "\n".join(found)


@pytest.mark.parametrize(
    "document", [*DOCUMENTS, "manifests/monitoring/alerts.yaml", "manifests/monitoring/dashboard.json"]
)
def test_every_metric_that_is_named_is_exported(document):
    text = (ROOT / document).read_text()
    names = re.findall(rf"\b{METRICS_PREFIX}_([a-z_]+[a-z])\b", text)
    assert not {name for name in names if name.removesuffix("_total") not in texts_in_code()}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_annotation_and_setting_that_is_named_exists(document):
    text = (ROOT / document).read_text()
    annotations = re.findall(r"\bk8s\.wasmcloud\.dev/(?!v1)[a-z-]+\b", text)
    assert not {name for name in annotations if name not in texts_in_code()}
    settings = {name.lower() for name in re.findall(r"\bWASMCLOUD_OPERATOR_([A-Z_]+[A-Z])\b", text)}
    assert settings <= Settings.model_fields.keys()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_target_that_is_named_exists(document):
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = (ROOT / document).read_text()
    commands = [*spans(document), *re.findall(r"^\$ (.*?)(?:  +#.*)?$", text, re.MULTILINE)]
    named = [word for command in commands if command.startswith("make ") for word in command.split()[1:]]
    assert {word for word in named if re.fullmatch(r"[a-z][a-z0-9-]*", word)} <= targets


def test_every_test_in_the_table_of_requirements_exists():
    tests = {Path(name).stem: ROOT / name for name in tracked("tests/*.py")}
    missing, module = [], ""
    for span in spans("docs/machinery.md"):
        named, _, test = span.partition("::")
        module = named if named.startswith("test_") else module
        if not test and module != named:
            continue
        known = names_in(tests[module]) if module in tests else ()
        if module not in tests or not any(name.startswith(test.rstrip("…")) for name in known):
            missing.append(span)
    assert not missing


def test_the_machinerys_page_names_where_a_rule_is_by_names_that_exist():
    rows = [line for line in (ROOT / "docs/machinery.md").read_text().splitlines() if line.startswith("| `")]
    named = {span for row in rows for span in _CODE_SPAN.findall(row.rsplit("|", 2)[1])}
    names = {name for path in (CODE / "kube").glob("*.py") for name in names_in(path)}
    where = {span.rpartition(":")[2] for span in named if not span.endswith("/")}
    assert where
    assert not sorted(where - names)


@pytest.mark.parametrize(("page", "folder"), [("machinery", "kube"), ("lattice", "lattice")])
def test_the_page_of_a_folder_names_each_of_its_modules(page, folder):
    named = set(spans(f"docs/{page}.md"))
    assert not sorted({path.stem for path in (CODE / folder).glob("*.py")} - {"__init__"} - named)


def test_the_index_of_the_tests_names_each_folder_and_each_module_that_they_share():
    tests = ROOT / "tests"
    modules = {path.name for path in tests.glob("*.py")}
    folders = {f"{name.split('/')[1]}/" for name in tracked("tests/*.py") if name.count("/") > 1}
    assert not sorted((modules | folders) - set(spans("tests/README.md")))


def test_the_table_of_controllers_has_each_of_them():
    made = re.compile(r"\b(?:Controller|context\.controller)\(\s*\"(\w+)\"")
    folders = (CODE / name for name in ("hostpool", "application", "expose"))
    names = {name for folder in folders for file in folder.glob("*.py") for name in made.findall(file.read_text())}
    table = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE)
    assert sorted(table) == sorted(names)


def test_the_walks_name_a_function_for_every_hop():
    text = (ROOT / "docs" / "architecture.md").read_text()
    hops = [line for line in text.splitlines() if re.match(r"\| \d+(–\d+)? \|", line)]
    assert len(hops) > 30
    assert not [hop for hop in hops if not _FUNCTION.search(hop)]


def test_the_table_of_where_rules_stand_answers_each_question_with_a_file():
    _, table = (ROOT / "docs" / "architecture.md").read_text().split("## Where does it stand?")
    rows = re.findall(r"^\| (.+\?) \| (.+) \|$", table, re.MULTILINE)
    assert len(rows) >= 20
    assert len({question for question, _ in rows}) == len(rows)
    answers = [_CODE_SPAN.findall(answer) for _, answer in rows]
    assert not [
        row for row, files in zip(rows, answers, strict=True) if not any(name.endswith(".py") for name in files)
    ]


def listing() -> list[list[str]]:
    """The names in the first column of CONTRIBUTING's listing, a list for each line; folders end with a slash."""
    block = re.search(r"```\n(types/.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    assert block is not None
    return [re.split(r"\s{2,}", line.strip())[0].split(", ") for line in block[1].splitlines()]


def test_the_listing_of_the_code_has_every_folder_and_names_only_what_exists():
    names = {name for line in listing() for name in line}
    folders = {name.rstrip("/") for name in names if name.endswith("/")}
    assert folders == CODE_FOLDERS | {"types", "operator", "tests", "manifests", "docs"}
    modules = {name for name in names if not name.endswith("/")}
    assert modules == {path.stem for path in CODE.glob("*.py")} - {"__init__"}


def test_the_listing_of_the_code_has_the_order_that_lint_holds():
    layers = re.search(r"layers = \[\n(.*?)\n\]", (ROOT / "pyproject.toml").read_text(), re.DOTALL)
    assert layers is not None
    floors = [set(floor.split(" | ")) for floor in re.findall(r'"([^"]+)"', layers[1])]
    listed = [name.rstrip("/") for line in listing() for name in line]
    heights = [floors.index(floor) for name in listed for floor in floors if name in floor and name != "operator"]
    assert heights == sorted(heights)
    assert len(heights) == sum(map(len, floors)) - 1  # "operator" is the folder's name as well


@pytest.mark.parametrize("name", tracked("docs/*.md", "docs/decisions/*.md"))
def test_every_document_is_reached_from_the_index(name):
    index = ROOT / "docs" / ("decisions/README.md" if name.startswith("docs/decisions/") else "README.md")
    links = {(index.parent / link).resolve() for link in _LINK.findall(index.read_text())}
    folders = {link for link in links if link.is_dir()}
    file = (ROOT / name).resolve()
    assert file in links | {index} or file.parent in folders


def test_the_site_leads_to_every_document_and_to_nothing_else():
    settings = tomllib.loads((ROOT / "zensical.toml").read_text())
    named = [page for section in settings["project"]["nav"] for pages in section.values() for page in pages]
    elsewhere = {"README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "changes/README.md"}
    tests = {"tests/README.md", "tests/e2e/README.md"}
    assert sorted(named) == sorted({*tracked("docs/*.md"), *elsewhere, *tests} - {"docs/README.md"})


def test_the_readme_has_the_versions_that_tests_run_on() -> None:
    assert f"\n\n{table()}\n" in (ROOT / "README.md").read_text(), "put in what python -m testbed.supported prints"


@pytest.mark.parametrize("example", tracked("manifests/examples/*.yaml"))
def test_an_example_names_the_schema_of_its_kind_for_editors(example: str) -> None:
    text = (ROOT / example).read_text()
    kinds = set(re.findall(r"^kind: (Application|WasmCloudHostConfig)$", text, re.MULTILINE))
    schemas = re.findall(r"^# yaml-language-server: \$schema=(\S+)$", text, re.MULTILINE)
    assert {Path(schema).name.split(".")[0] for schema in schemas} == {kind.lower() for kind in kinds}
    assert all(((ROOT / example).parent / schema).exists() for schema in schemas)


_COMMAND = re.compile(
    r"(?:^\$ (?:.*\| )?|`)(?:wasmcloud-operator|kubectl wasmcloud) ([a-z]+)\b([^`\n|#]*)", re.MULTILINE
)
_OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*", re.IGNORECASE)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_in_the_documents_are_there_with_their_options(document: str) -> None:
    for name, rest in _COMMAND.findall((ROOT / document).read_text()):
        assert name in main.commands, f"{document}: there is no command {name}"
        if name != "run":  # its settings are looked at by themselves
            options = {option for parameter in main.commands[name].params for option in parameter.opts}
            unknown = set(_OPTION.findall(rest)) - options - {"-h", "--help"}
            assert not unknown, f"{document}: {name} has no {unknown}"
