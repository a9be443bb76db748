"""What leaves the cluster in a report or a diff: no known shape of a secret, and everything else as it was."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmcloud_operator.commands.redaction import BLACK, blackened, blackened_object

SEED = "SUAIBDPBAUTWCWBKIO6XHQNINK5FWJW4OHLXC3HQ2KFE4PEJUA44CNHTC4"
JWT = "eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.eyJqdGkiOiJYIn0.c2lnbmF0dXJl-_"
CREDS = f"-----BEGIN NATS USER JWT-----\n{JWT}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n{SEED}"
KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIIcanary\n-----END EC PRIVATE KEY-----"
DOCKER = json.dumps({"auths": {"registry.example.com": {"auth": base64.b64encode(b"joe:canary").decode()}}})


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"seed {SEED} is wrong", SEED),
        (f"token={JWT}", JWT),
        (f"Authorization: Bearer {JWT}", JWT),
        ("authorization: Basic am9lOmNhbmFyeQ==", "am9lOmNhbmFyeQ"),
        ("nats://joe:canary@hub.example.com:4222", "canary"),
        ("connects to tls://canary@hub", "canary"),
        ('{"password": "canary", "user": "joe"}', "canary"),
        ("{'WASMCLOUD_OCI_PASSWORD': 'canary x'}", "canary"),
        ('"{\\"password\\": \\"canary\\"}"', "canary"),
        ("password: canary", "canary"),
        ("NATS_PASSWORD=canary and more", "canary"),
        ("started with --api-key=canary", "canary"),
        (KEY, "canary"),
        (json.dumps(KEY), "canary"),
        (CREDS, SEED),
        (base64.b64encode(CREDS.encode()).decode(), base64.b64encode(CREDS.encode()).decode()),
        (base64.b64encode(SEED.encode()).decode(), base64.b64encode(SEED.encode()).decode()),
        (DOCKER, base64.b64encode(b"joe:canary").decode()),
        (base64.b64encode(DOCKER.encode()).decode(), base64.b64encode(DOCKER.encode()).decode()),
    ],
)
def test_a_secret_shape_is_blacked_out(text: str, secret: str) -> None:
    for given_text in (text, f"2026-01-01T00:00:00Z INFO {text} (attempt 2)"):
        assert secret not in blackened(given_text)
        assert BLACK in blackened(given_text)


@pytest.mark.parametrize(
    "text",
    [
        "secretName: hub-credentials",
        '"secretKeyRef": {"name": "hub", "key": "password"}',
        "Secret shop/hub has no key nats.creds",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "nats://hub.example.com:4222",
        "host NBXGI4TPM5UWY3DPMVZHS43JORSW2ZLOORUW63TFON2GKZBVGIZA joined",
        "the token of the service account is read again",
        "registryCredentialsSecret: pull",
    ],
)
def test_names_of_secrets_and_public_keys_stay(text: str) -> None:
    assert blackened(text) == text


def test_values_of_variables_and_flags_that_mean_a_secret_are_blacked_out() -> None:
    pod = {
        "containers": [
            {
                "name": "x",
                "args": ["--log", "info", "--hub-password", "canary", "--token=canary"],
                "env": [
                    {"name": "HUB_PASSWORD", "value": "canary"},
                    {"name": "LEVEL", "value": "info"},
                    {"name": "HUB_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}},
                ],
            }
        ],
        "clientSecret": "canary",
    }
    found = blackened_object(pod)
    assert "canary" not in json.dumps(found)
    assert found["containers"][0]["env"][1:] == pod["containers"][0]["env"][1:]
    assert found["containers"][0]["args"][:3] == ["--log", "info", "--hub-password"]


@given(st.text(max_size=300))
def test_no_text_breaks_it_and_twice_is_as_once(text: str) -> None:
    once = blackened(f"{text} {SEED}")
    assert SEED not in once
    assert blackened(once) == once or BLACK in once
