"""A secret in any form in which logs and manifests carry one is blacked out, whatever the secret is."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from wasmcloud_operator.commands.redaction.names import BLACK
from wasmcloud_operator.commands.redaction.texts import blackened

# Carriers of one secret word, of a secret in quotes, and of one over several lines.
_WORDS = (
    "nats-box -p {}",
    "docker login -u joe -p {} ghcr.io",
    "-p={}",
    '["-p", "{}"]',
    "curl -u joe:{} https://x",
    "curl --user 'joe:{}' x",
    "--password {}",
    "--password={}",
    "-token {}",
    "--registry-password {}",
    "--nats-creds {}",
    '["--token","{}"]',
    "--set auth.password={}",
    "token {} is not valid",
    "the password is {}.",
    "invalid password: {}",
    "using API key {}",
    "access key = {}",
    "secret key: {}",
    "passcode {}",
    "bearer token {}",
    "password -> {}",
    "password\t{}",
    "token `{}`",
    "wrong password '{}' for joe",
    'bad token "{}"',
    "password: !!str {}",
    "password: &a {}",
    "password = f'{}'",
    "<password>{}</password>",
    '<a:Token type="x">{}</a:Token>',
    "Authorization: Basic {}",
    "authorization=Bearer {}",
    '"Authorization": "Bearer {}"',
    "X-Auth-Token: {}",
    "Authorization: token {}",
    "secret_key: {}",
    "secretKey={}",
    "AccountName=x;AccountKey={};E",
    "signing-key: {}",
    "encryption_key={}",
    "AWS_SESSION_TOKEN={}",
    "passwordHash: {}",
    "password1: {}",
    "token_value={}",
    "secretData: {}",
    "SECRET_TOKEN_BASE64={}",
    "VAULT_SECRET_ID={}",
    "jwt: {}",
    "nats://joe:{}@hub",
    "nats://{}@hub",
    "nats://joe:p@ss/{}@hub:4222",
    "nats://joe:<{}>@hub",
    "nats://joe:a/b?{}#c@hub",
    "creds={}",
    'tokens: ["a]b", "{}"]',
    "tokens: [a, {}]",
    '{{"passwords": {{"joe": "{}"}}}}',
    '{{"auths": {{"r": {{"auth": "{}"}}}}}}',
    "password: a,{}",
    "https://hooks.slack.com/services/T0/B0/{}",
)
_LINES = (
    "tokens:\n- {}\n- other",
    "tokens:\n  - a\n\n  - '{}'\nuser: joe",
    "passwords:\n  a: {}\n  b: 'x'",
    "tokens:\n- name: a\n  value: {}",
    "password: |\n  {}\n\n  {}\nuser: joe",
    "password: >-\n\n    {}\nuser: joe",
    "password: | # a comment\n  {}",
    "password: |2-\n    {}",
    "- user: joe\n  password: |\n    {}\n  x: y",
    "nats.creds: |\n  {}\n  {}\n",
    "tls.key: |\n  {}\n",
    "password: first\n  {}\nuser: joe",
    'password: "first\n  {}"',
    "password: 'first\n  {}'",
    "stringData:\n  any: {}",
    "token:\n  value: {}",
    "password:\n  {}",
    "token:\n- {}",
)
_SECRETS = st.from_regex(r"[a-z][A-Za-z0-9!#$%^*+~_.-]{5,30}[0-9][A-Za-z]{2}", fullmatch=True)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.sampled_from(_WORDS), _SECRETS, st.sampled_from(("", "2026-01-01T00:00:00Z INFO  wasmcloud: ", "    ")))
def test_a_secret_word_in_any_carrier_is_blacked_out(carrier: str, secret: str, before: str) -> None:
    assert secret not in blackened(before + carrier.format(secret))


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.sampled_from(_LINES), _SECRETS, st.sampled_from(("", "  ", "config:\n  x: y\n")), st.booleans())
def test_a_secret_below_its_name_in_yaml_is_blacked_out(carrier: str, secret: str, before: str, escaped: bool) -> None:
    lines = carrier.format(*[secret] * carrier.count("{}"))
    text = before + (lines.replace("\n", "\n  ") if before == "  " else lines)
    escaped = escaped and "first" not in carrier
    found = blackened(json.dumps({"config": text}) if escaped else text)
    assert secret not in found
    if "user: joe" in text and not escaped:
        assert "user: joe" in found


def test_the_secret_half_of_an_access_key_is_blacked_out_by_its_shape() -> None:
    key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    assert blackened(f"signed with {key}") == f"signed with {BLACK}"
