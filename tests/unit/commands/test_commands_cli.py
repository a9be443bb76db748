"""The commands, as a shell sees them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner
from pydantic import ValidationError

from wasmcloud_operator.cli import main
from wasmcloud_operator.commands.apps import ListedApp, as_json, table
from wasmcloud_operator.commands.parser import Commands, complete
from wasmcloud_operator.kube.testing import Answer, ScriptedApi, ScriptedApiServer
from wasmcloud_operator.lattice.content import Owner
from wasmcloud_operator.permissions import RULES, needed
from wasmcloud_operator.settings import Settings, unknown_variables
from wasmcloud_operator_types import custom_resource_definitions

ROOT = Path(__file__).parents[3]


def _run(
    *arguments: str, env: dict[str, str] | None = None, encoding: str = "utf-8"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "wasmcloud_operator", *arguments],
        capture_output=True,
        encoding=encoding,
        timeout=120,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **(env or {})},
    )


def test_crds_prints_what_is_in_the_manifests() -> None:
    printed = list(yaml.safe_load_all(CliRunner().invoke(main, ["crds"]).output))
    on_disk = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "manifests/crds").glob("*.yaml"))]
    assert sorted(printed, key=str) == sorted(on_disk, key=str)


def test_an_interrupted_command_ends_as_of_a_shell_and_with_no_answer() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    commands = Commands(sections={}, commands={"wait": click.Command("wait", callback=interrupted)})
    found = CliRunner().invoke(commands, ["wait"])
    assert (found.exit_code, found.output) == (130, "")


@pytest.mark.parametrize(
    ("what", "hint"),
    [
        ("app/team-a/shop", "no object of Kubernetes has such a name: choose the namespace with -n"),
        ("app/..", "no object of Kubernetes has such a name"),
        ("app/.", "no object of Kubernetes has such a name"),
        ("app/a b", "no object of Kubernetes has such a name"),
        ("app/", "write app/NAME"),
        ("/shop", "write app/NAME"),
        ("pod/shop", "write app/NAME"),
    ],
)
def test_a_name_that_no_object_has_is_refused_before_the_cluster_is_asked(what: str, hint: str) -> None:
    found = CliRunner().invoke(main, ["history", what, "--kubeconfig", "/nonexistent"])
    assert found.exit_code == 2
    assert f"{what!r}: {hint}\n" in found.output


def test_crds_are_one_json_list() -> None:
    printed = json.loads(CliRunner().invoke(main, ["crds", "-o", "json"]).output)
    assert (printed["kind"], printed["items"]) == ("List", custom_resource_definitions())


def test_help_names_every_command_once_with_its_whole_sentence() -> None:
    shown = " ".join(CliRunner().invoke(main, ["-h"], terminal_width=200).output.split())
    for name, command in main.commands.items():
        assert shown.count(f" {name} {command.get_short_help_str(1000)}") == 1, name
    assert "..." not in shown.replace("[ARGS]...", "")


def test_every_command_but_run_takes_short_and_long_help() -> None:
    for name in main.commands.keys() - {"run"}:
        for flag in ("-h", "--help"):
            assert CliRunner().invoke(main, [name, flag]).exit_code == 0, name


def completed(shell: str, line: str) -> str:
    """Returns what the program answers to a shell that completes the line."""
    words = line.split(" ")
    cursor = str(len(words) - 1) if shell != "fish" else words[-1]
    env = {
        "_WASMCLOUD_OPERATOR_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": cursor,
        "PATH": "/usr/bin:/bin",
    }
    program = Path(sys.executable).with_name("wasmcloud-operator")
    return subprocess.run([program], env=env, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_completions_of_commands_options_and_choices(shell: str) -> None:
    assert "status" in completed(shell, "wasmcloud-operator sta")
    assert "--all-namespaces" in completed(shell, "wasmcloud-operator status --a")
    assert "sarif" in completed(shell, "wasmcloud-operator check --format s")


def test_bash_loads_the_completion_and_uses_it() -> None:
    folder = Path(sys.executable).parent
    script = """
        eval "$(_WASMCLOUD_OPERATOR_COMPLETE=bash_source wasmcloud-operator)"
        COMP_WORDS=(wasmcloud-operator st) COMP_CWORD=1
        _wasmcloud_operator_completion wasmcloud-operator
        echo "${COMPREPLY[@]}"
    """
    env = {"PATH": f"{folder}:/usr/bin:/bin"}
    done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["status"]


def test_kubectl_gets_completions_in_its_own_form() -> None:
    assert complete(main, ["st"])[0].startswith("status\tShow pools")
    assert complete(main, ["st"])[-1] == ":4"
    assert complete(main, ["check", "--format", ""]) == ["text", "json", "sarif", "github", ":4"]
    assert complete(main, ["check", ""])[-1] == ":0"


def test_as_a_plugin_of_kubectl_it_names_itself_as_its_users_do() -> None:
    program = Path(sys.executable).with_name("kubectl-wasmcloud")
    shown = subprocess.run([program, "status", "-h"], capture_output=True, text=True, timeout=60, check=True).stdout
    assert shown.startswith("Usage: kubectl wasmcloud status")


def test_status_imports_nothing_that_it_can_do_without() -> None:
    heavy = (
        "pydantic",
        "prometheus_client",
        "nats",
        "structlog",
        "rich",
        "urllib3",
        "dateutil",
        "multiprocessing",
        "opentelemetry",
        "wasmcloud_operator_types",
        "wasmcloud_operator.kube.informer",
        "wasmcloud_operator.lattice",
    )
    code = f"import sys, wasmcloud_operator.commands.overview.screens; print([x for x in {heavy} if x in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"


def test_modules_kept_from_the_kubernetes_library_are_there_for_everybody_else() -> None:
    code = (
        "import wasmcloud_operator.kube.credentials, dateutil.parser, multiprocessing.pool, urllib3;"
        "print(dateutil.parser.parse('2026-01-02').day, multiprocessing.cpu_count() > 0,"
        " multiprocessing.pool.ThreadPool is not None, urllib3.util.make_headers(basic_auth='a:b'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "2 True True {'authorization': 'Basic YTpi'}"


def test_the_operator_does_not_load_what_draws_at_a_terminal() -> None:
    code = "from wasmcloud_operator.cli import main; import sys; sys.argv[1:] = ['run', '--workers', '0']; main()"
    tried = f"import atexit, sys; atexit.register(lambda: print('rich.console' in sys.modules)); {code}"
    done = subprocess.run([sys.executable, "-c", tried], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.strip()) == (2, "False")


def test_apps_names_the_cluster_of_an_owner_where_it_is_known() -> None:
    apps = [
        ListedApp("a", "Deployed", "1", "1", Owner("uid-1", "shop", "a"), ""),
        ListedApp("b", "Deployed", "1", "1", Owner("uid-2", "shop", "b"), ""),
        ListedApp("c", "Deployed", "1", "1", None, ""),
    ]
    lines = table(apps, {"uid-1": "staging"}).lines()
    assert ["shop/a (staging)" in lines[1], "shop/b (uid-2)" in lines[2]] == [True, True]
    owners = [app["owner"] for app in json.loads(as_json(apps, {"uid-1": "staging"}))]
    assert [owner and owner["clusterName"] for owner in owners] == ["staging", None, None]


def test_a_character_that_the_locales_encoding_lacks_is_escaped(tmp_path: Path) -> None:
    done = _run("check", str(tmp_path / "─é"), env={"PYTHONIOENCODING": "latin-1"}, encoding="latin-1")
    assert (done.returncode, done.stderr) == (2, "")
    assert "\\u2500é: error: cannot be read" in done.stdout


def test_a_closed_standard_output_changes_no_answer(tmp_path: Path) -> None:
    script = f"{sys.executable} -m wasmcloud_operator check {tmp_path}/nothing >&-"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (2, "")


def test_version() -> None:
    assert "wasmcloud-operator, version 0." in CliRunner().invoke(main, ["--version"]).output


def test_a_command_that_needs_little_imports_little() -> None:
    heavy = ("aiohttp", "asyncio", "kubernetes_asyncio", "msgspec", "nats", "pydantic", "structlog", "yaml")
    code = f"import sys, wasmcloud_operator.cli; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"


def test_check_has_exit_codes(tmp_path: Path) -> None:
    good = tmp_path / "good.yaml"
    good.write_text(
        "apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {name: hello, annotations: {}}\n"
        "spec: {components: [{name: http, type: component, properties: {image: 'ghcr.io/x/y:1'}}]}\n"
    )
    bad = tmp_path / "bad.yaml"
    bad.write_text(good.read_text().replace("{image: 'ghcr.io/x/y:1'}", "{}"))
    runner = CliRunner()
    assert runner.invoke(main, ["check", str(good)]).exit_code == 0
    failed = runner.invoke(main, ["check", str(bad)])
    assert failed.exit_code == 1
    assert "spec.components[0].properties" in failed.output
    assert runner.invoke(main, ["check", str(tmp_path / "missing.yaml")]).exit_code == 2


@pytest.mark.parametrize(
    "arguments", [("a.b",), ("default", "--wadm-prefix", "a..b"), ("default", "--nats", "http://127.0.0.1")]
)
def test_apps_says_what_is_wrong_with_its_arguments(arguments: tuple[str, ...]) -> None:
    failed = CliRunner().invoke(main, ["apps", *arguments])
    assert failed.exit_code == 2
    assert "cannot" in failed.output


def test_a_setting_out_of_bounds_is_said_by_flag_and_variable() -> None:
    done = _run("run", "--workers", "0")
    assert done.returncode == 2
    assert "--workers (WASMCLOUD_OPERATOR_WORKERS)" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_flag_is_refused() -> None:
    done = _run("run", "--nonsense")
    assert done.returncode == 2
    assert "--nonsense" in done.stderr


def test_without_credentials_it_says_what_to_do() -> None:
    done = _run("run", "--log-format", "json")
    assert done.returncode == 1
    assert "set KUBECONFIG or run in a cluster" in done.stderr
    assert "Traceback" not in done.stderr


def test_settings_come_from_flags_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WASMCLOUD_OPERATOR_WATCH_NAMESPACES", "a, b")
    monkeypatch.setenv("WASMCLOUD_OPERATOR_WORKERS", "3")
    settings = Settings.from_arguments(["--workers", "5", "--no-leader-election"])
    assert settings.watch_namespaces == ("a", "b")
    assert settings.workers == 5
    assert not settings.leader_election


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("RECONCILE_TIMEOUT", value) for value in ("nan", "inf", "-inf", "1e400", "3601", "0", "-1", "60s", " ")),
        *(
            ("WATCH_NAMESPACES", value)
            for value in (",", ", ,", "a b", "a;b", "Team_A", "*", "../a", '["a","b"]', "a\nb")
        ),
        *(("NAMESPACE", value) for value in (" ", "a/b", "a.b", "A", "a" * 64)),
        *(("LEASE_NAME", value) for value in (" ", "a/b", "a_b", "-a", "a.")),
        *(("WORKERS", value) for value in ("nan", "1e1", "8.5", "257")),
        ("MAX_CONNECTIONS", "3"),
        ("IDENTITY", " "),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"WASMCLOUD_OPERATOR_{name}", value)
    with pytest.raises(ValidationError) as refused:
        Settings.from_arguments([])
    assert [error["loc"] for error in refused.value.errors()] == [(name.lower(),)]


@pytest.mark.parametrize("name", [name for name in Settings.model_fields if name != "identity"])
def test_an_empty_variable_is_as_none(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    unset = getattr(Settings.from_arguments([]), name)
    monkeypatch.setenv(f"WASMCLOUD_OPERATOR_{name.upper()}", "")
    assert getattr(Settings.from_arguments([]), name) == unset


def test_spaces_and_line_ends_around_a_setting_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"CLUSTER_ID": "one\n", "LEASE_NAME": " mine ", "WATCH_NAMESPACES": " b, a,,b\n", "HTTP_ADDRESS": ":8081\n"}
    for name, value in given.items():
        monkeypatch.setenv(f"WASMCLOUD_OPERATOR_{name}", value)
    settings = Settings.from_arguments([])
    assert (settings.cluster_id, settings.lease_name, settings.http_address) == ("one", "mine", ":8081")
    assert settings.watch_namespaces == ("b", "a")


def test_permissions_are_asked_for_in_each_watched_namespace() -> None:
    asked = needed(RULES, ["a", "b"], "home")
    assert {permission.namespace for permission in asked if permission.resource.plural == "deployments"} == {"a", "b"}
    assert {permission.namespace for permission in asked if permission.resource.plural == "leases"} == {"home"}
    assert {permission.namespace for permission in needed(RULES, [], "home")} == {"", "home"}


def test_no_folder_shadows_a_standard_module() -> None:
    assert not (ROOT / "operator/__init__.py").exists()
    assert not (ROOT / "types/__init__.py").exists()
    assert "--import-mode=importlib" not in (ROOT / "pyproject.toml").read_text()


async def test_a_server_before_1_29_is_refused(tmp_path: Path) -> None:
    api = ScriptedApi()
    api.fail(Answer(code=200, body={"major": "1", "minor": "28+", "gitVersion": "v1.28.3"}))
    async with ScriptedApiServer.serve(api) as server:
        kubeconfig = server.kubeconfig(tmp_path / "kubeconfig")
        done = await asyncio.to_thread(_run, "run", "--kubeconfig", str(kubeconfig), "--log-format", "json")
    assert done.returncode == 1
    assert "v1.28.3" in done.stderr
    assert "1.29" in done.stderr


def test_a_misspelt_variable_is_refused_with_the_nearest_name() -> None:
    given = ["WASMCLOUD_OPERATOR_WORKES", "WASMCLOUD_OPERATOR_LOG_LEVEL", "WASMCLOUD_OPERATOR_ZZZ", "WASMCLOUD_OTHER"]
    assert unknown_variables(given) == [
        "WASMCLOUD_OPERATOR_WORKES is no setting: is WASMCLOUD_OPERATOR_WORKERS meant?",
        "WASMCLOUD_OPERATOR_ZZZ is no setting",
    ]
    assert unknown_variables(["wasmcloud_operator_workers", "wasmcloud_operator_workes"]) == [
        "WASMCLOUD_OPERATOR_WORKES is no setting: is WASMCLOUD_OPERATOR_WORKERS meant?"
    ]


def test_variables_of_service_links_are_no_mistake() -> None:
    links = ("METRICS_SERVICE_HOST", "METRICS_SERVICE_PORT", "METRICS_SERVICE_PORT_METRICS", "METRICS_PORT")
    ports = ("METRICS_PORT_8080_TCP", "METRICS_PORT_8080_TCP_ADDR", "METRICS_PORT_8080_TCP_PROTO")
    assert unknown_variables(f"WASMCLOUD_OPERATOR_{name}" for name in (*links, *ports)) == []


def test_run_ends_with_2_on_a_misspelt_variable() -> None:
    done = _run("run", env={"WASMCLOUD_OPERATOR_WATCH_NAMESPACE": "team-a"})
    assert done.returncode == 2
    assert "is WASMCLOUD_OPERATOR_WATCH_NAMESPACES meant?" in done.stderr
