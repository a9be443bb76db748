"""What works at run time, type checkers take, by the word of mypy as users run it."""

from __future__ import annotations

import sys
from pathlib import Path

from mypy import api

GOOD = """
from wasmcloud_operator_types import (
    ApplicationList, CertificateAuthority, Certificates, ObjectMeta, SecretVolume, WasmCloudHostConfigSpec, effective,
)

spec = WasmCloudHostConfigSpec(
    lattice="l",
    version="1.0",
    allowed_insecure=["registry:5000"],
    certificates=Certificates(authorities=[CertificateAuthority(name="a", secret=SecretVolume(secret_name="s"))]),
)
same = WasmCloudHostConfigSpec(lattice="l", version="1.0", allowed_insecure=("registry:5000",))
first: str = (spec.allowed_insecure or ())[0]
image: str | None = effective(spec).image
applications = ApplicationList(items=[])
metadata = ObjectMeta(name="a", finalizers=["f"])
"""
BAD = """
from wasmcloud_operator_types import WasmCloudHostConfigSpec
WasmCloudHostConfigSpec(lattice="l", version="1.0", allowed_insecure=[5])
"""


def checked(folder: Path, text: str) -> str:
    file = folder / "use.py"
    file.write_text(text)
    options = ["--strict", "--config-file=", f"--cache-dir={folder / 'cache'}", "--python-executable", sys.executable]
    out, err, _ = api.run([*options, str(file)])
    return out + err


def test_lists_may_be_written_as_lists_or_tuples(tmp_path):
    exec(compile(GOOD, "use.py", "exec"), {})
    assert "Success" in checked(tmp_path, GOOD)


def test_lists_of_another_kind_are_still_refused(tmp_path):
    assert "List item 0 has incompatible type" in checked(tmp_path, BAD)
