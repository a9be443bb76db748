"""What leaves the cluster in a report or a diff: no known shape of a secret, and everything else as it was."""

from __future__ import annotations

import base64
import json
import time
from textwrap import wrap
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmcloud_operator.commands.redaction.names import BLACK
from wasmcloud_operator.commands.redaction.objects import blackened_object
from wasmcloud_operator.commands.redaction.texts import blackened

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


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


URL = "nats://joe:canary@hub.example.com:4222"
LONG_JWT = f"{JWT.rpartition('.')[0]}{'Y2FuYXJ5' * 20}.{'c2ln' * 20}"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (quote(URL, safe=""), "canary"),
        (quote(quote(URL, safe=""), safe=""), "canary"),
        ("".join(f"%{byte:02x}" for byte in URL.encode()), "%63%61%6e%61%72%79"),
        ("https://hub.example.com/x?a=b&token=canary&c=d", "canary"),
        (quote("https://hub.example.com/x?token=canary", safe=""), "canary"),
        ("https://hub.example.com/x?a=b\\u0026access_token=canary", "canary"),
        ("https://bucket/x?X-Amz-Signature=canary", "canary"),
        ("nats:\\/\\/joe:canary@hub:4222", "canary"),
        ("nats://joe:canary/with/slashes@hub:4222", "canary"),
        ("joe:canary-secret@hub.example.com:4222", "canary"),
        (f"NATS_URL={_base64(URL)}", _base64(URL)[:20]),
        (_base64(_base64(URL)), _base64(_base64(URL))[:20]),
        (base64.urlsafe_b64encode(f"{URL}?~~~>>>".encode()).decode().rstrip("="), "pjYW5hcnl"),
        ("\n".join(wrap(_base64(f"a text of several lines, and {URL} in it"), 30)), "OmNhbmFy"),
        *((end.join(wrap(LONG_JWT, 64)), "Y2FuYXJ5") for end in ("\n", "\r\n", "\n    ", "\\n", "\\r\\n")),
        *((f"{SEED[:30]}{end}{SEED[30:]}", SEED[30:]) for end in ("\n", "\n  ", "\\n")),
        (SEED.lower(), SEED.lower()),
        ("natsPassword=canary", "canary"),
        ("PGPASSWORD=canary", "canary"),
        ("DB_PASS=canary", "canary"),
        ("AWS_SECRET_ACCESS_KEY=canary", "canary"),
        ("password => canary", "canary"),
        ('password := "canary"', "canary"),
        ("nats-box --nats-password canary", "canary"),
        ("\x1b[3mpassword\x1b[0m\x1b[2m=\x1b[0mcanary", "canary"),
        ("password:\n  canary\nuser: joe", "canary"),
        ("password: |\n  canary\n  canary\nuser: joe", "canary"),
        (json.dumps(json.dumps(json.dumps({"password": "canary"}))), "canary"),
        ("ghp_canary0123456789canary0123456789", "canary"),
        ("xoxb-123456789012-canary", "canary"),
        ("AKIACANARY0123456789", "CANARY"),
        *((f"S{kind}{SEED[2:]} is wrong", SEED[2:]) for kind in "UAOXNC"),
        ("nats://:canary@hub:4222", "canary"),
        ("nats://joe:p@canary@hub:4222", "canary"),
        ("nats://joe:p#?canary@hub:4222", "canary"),
        ("nats://joe:a'b\"c'canary@hub:4222", "canary"),
        ("nats://a:x@one,nats://b:canary@two", "canary"),
        ('level=info password="a\\"b canary" x=1', "canary"),
        (json.dumps({"token": 'a"b\\ canary'}), "canary"),
        (json.dumps({"msg": json.dumps({"token": 'a"canary'})}), "canary"),
        ('password="canary and the line ends', "canary"),
        ('{"password": 31415926, "x": 1}', "31415926"),
        (json.dumps({"passwords": ["x", "canary"]}), "canary"),
        ("map[X-Token:[canary] Host:[x]]", "canary"),
        ('Connect { user: "joe", password: Some("canary") }', "canary"),
        ('token: Some(Secret("canary"))', "canary"),
        ('Some(Password("canary"))', "canary"),
        ("password=b'canary'", "canary"),
        ("[('password', 'canary')]", "canary"),
        ("Authorization: Negotiate canary", "canary"),
        ('Authorization: Digest username="joe", response="canary"', "canary"),
        ("Proxy-Authorization: Basic am9lOmNhbmFyeQ==", "am9lOmNhbmFyeQ"),
        ("Cookie: session=canary", "canary"),
        ("docker run --registry-password 'x canary'", "canary"),
        (json.dumps({"auths": {"r.example.com": {"auth": "x", "identitytoken": "canary"}}}), "canary"),
        ("user:\n  client-key-data: LS0tLS1canary\n", "canary"),
        ("user:\n  token: canary\n", "canary"),
        ("AGE-SECRET-KEY-1CANARY0123456789CANARY", "CANARY"),
        ("hvs.canary0123456789canary", "canary"),
    ],
)
def test_a_secret_in_an_unusual_shape_is_blacked_out(text: str, secret: str) -> None:
    assert secret in text
    assert secret not in blackened(text)
    assert secret not in blackened(f"2026-01-01T00:00:00Z INFO  wasmcloud: {text}")


_LINE = "2026-01-01T00:00:00Z  INFO wasmcloud: "
_KEY_LINES = ["-----BEGIN PRIVATE KEY-----", "MIIcanary" * 7, "MIGHAgEA" * 7, "Y2FuYXJ5==", "-----END PRIVATE KEY-----"]


@pytest.mark.parametrize("line", ["{}", f"{_LINE}{{}}", '{{"level":"info","msg":"{}"}}'], ids=["bare", "text", "json"])
@pytest.mark.parametrize("first", range(4))
def test_a_key_over_several_lines_of_a_log_is_blacked_out_also_where_its_first_ones_are_cut_off(
    line: str, first: int
) -> None:
    said = [line.format(text) for text in _KEY_LINES[first:]]
    found = blackened("\n".join([line.format("before"), *said, line.format("after")]))
    for part in ("MII", "MIG", "Y2F"):
        assert part not in found
    assert found.startswith(line.format("before")[:-2])
    if first:
        assert line.format("after") in found


def test_values_beside_a_secret_stay() -> None:
    assert (
        blackened(f"host a-1 joined by {URL} in 3 s")
        == f"host a-1 joined by nats://{BLACK}@hub.example.com:4222 in 3 s"
    )
    assert blackened("password: |\n  canary\nuser: joe") == f"password: |\n  {BLACK}\nuser: joe"
    assert blackened("password=canary, user=joe") == f"password={BLACK}, user=joe"
    assert blackened("nats://a:x@one,nats://b:y@two") == f"nats://{BLACK}@one,nats://{BLACK}@two"
    assert blackened('{"token": "a\\"b", "user": "joe"}') == f'{{"token": "{BLACK}", "user": "joe"}}'
    assert blackened('password: Some("x"), user: "joe"') == f'password: Some("{BLACK}"), user: "joe"'


@pytest.mark.parametrize(
    "text",
    [
        "a" * 500_000,
        _base64("x" * 500_000),
        "a.b-c_" * 80_000,
        "a:b:" * 120_000,
        "%41" * 160_000,
        "x%" * 250_000,
        "password:\n " * 40_000,
        'password="' * 50_000,
        "nats://" * 70_000,
        "S" * 500_000,
        "password=Some(" * 30_000,
        "token:[" * 70_000,
        "nats://a:" + "b@" * 250_000,
        "x-----END PRIVATE KEY-----" * 20_000,
        ("A" * 60 + "\n") * 8_000 + "-----END PRIVATE KEY-----",
    ],
    ids=lambda text: text[:10].strip(),
)
def test_half_a_megabyte_in_one_line_takes_no_longer_than_its_length(text: str) -> None:
    began = time.process_time()
    blackened(text)
    assert time.process_time() - began < 20  # what grows with the square takes minutes


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
        "automountServiceAccountToken: false",
        '{"token": null}',
        '["nats://hub.example.com:4222","joe@example.com"]',
        "GET /apis/authorization.k8s.io/v1: nats: Authorization Violation",
        f"image ghcr.io/wasmcloud/wasmcloud:1.9.0-rc.1@sha256:{'9f86d081' * 8}",
        f"oci://ghcr.io:443/wasmcloud/x@sha256:{'9f86d081' * 8}",
        'MountVolume.SetUp failed for volume "hub" : secret "hub-credentials" not found',
        "failed to list *v1.Secret: secrets is forbidden",
        'unexpected token "<" in JSON at position 0',
        "token expired, the token is missing; a token request failed",
        "no password given; password authentication is off",
        "token /var/run/secrets/kubernetes.io/serviceaccount/token is read",
        "token expires at 2026-01-01T00:00:00Z, token 2026-01-01T00:00:00Z",
        "nats-server -p 4222 -m 8222; docker run -p 8080:80 -u 1000:1000 --user 65532:65532 x; mkdir -p data/x",
        "--creds /nats/nats.creds --nats-creds=/etc/nats.creds",
        '["run", "-p", "4222", "--creds", "/nats/nats.creds"]',
        "volumes:\n- name: hub\n  secret:\n    secretName: hub\n    optional: false\n- name: x",
        "secretKeyRef:\n  name: hub\n  key: password\nimagePullSecrets:\n- name: pull",
        "serviceAccountToken:\n  path: token\n  expirationSeconds: 3607",
        "keys: a, b; monkey: banana; passing: 5; authority: ca; bypass=true; primary_key=5; a -> b; <b>x</b>",
        "notes: |\n  a token\n  of it",
        "commit 4f3c2b1a09f8e7d6c5b4a3928170605f4e3d2c1b of /apis/apps/v1/namespaces/team/deployment",
        "GET https://10.0.0.1:443/apis/apps/v1/namespaces/team%2Da/deployments?limit=500",
        "pod edge-5d9c7b8f6d-x2xkq on node ip-10-0-0-1.eu-central-1.compute.internal is ready",
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
        "apiKeys": {"password": ["canary", 5]},
        "token": 123456,
        "config": [{"name": "HUB_CREDS", "value": "canary"}, {"name": "PGPASSWORD", "value": "canary"}],
        "nats://joe:canary@hub": True,
        "volumes": [{"secret": {"secretName": "hub", "optional": False}}],
        "automountServiceAccountToken": False,
        "registryCredentialsSecret": "pull",
    }
    found = blackened_object(pod)
    assert "canary" not in json.dumps(found)
    assert "123456" not in json.dumps(found)
    kept = ("volumes", "automountServiceAccountToken", "registryCredentialsSecret")
    assert [found[name] for name in kept] == [pod[name] for name in kept]
    assert found["containers"][0]["env"][1:] == pod["containers"][0]["env"][1:]
    assert found["containers"][0]["args"][:3] == ["--log", "info", "--hub-password"]


@given(st.text(max_size=300))
def test_no_text_breaks_it_and_twice_is_as_once(text: str) -> None:
    once = blackened(f"{text} {SEED}")
    assert SEED not in once
    assert blackened(once) == once or BLACK in once
