"""The API server that `make matrix` has chosen is the one that answers."""

from __future__ import annotations

import os

from testbed import Admin
from testbed.components import COMPONENTS
from testbed.controlplane import APISERVER


async def test_the_chosen_version_answers(admin: Admin) -> None:
    answer = await admin.request("GET", "/version")
    assert answer["gitVersion"] == f"v{COMPONENTS[APISERVER].version}"
    assert f"{answer['major']}.{answer['minor']}" == os.environ.get("TESTBED_API_SERVER", "1.35")
