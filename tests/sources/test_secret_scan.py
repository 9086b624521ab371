"""The secret scan: every planted format is found, ordinary code is left alone. No literal here looks like a secret."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import flywheel
from flywheel.core.secrets import RULES, find_secret, find_secret_in

HEX = "0123456789abcdef" * 8
MIX = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7" * 8
UPPER = "A2B3C4D5E6F7G2H3I4J5K6L7" * 4
PLANTED = {
    "aws-access-key": "AK" + "IA" + UPPER[:16],
    "google-api-key": "AI" + "za" + MIX[:35],
    "google-oauth": "GOC" + "SPX-" + MIX[:28],
    "azure-key": "Account" + "Key=" + MIX[:86] + "==",
    "github-token": "gh" + "p_" + MIX[:36],
    "github-fine-grained-token": "github" + "_pat_" + MIX[:82],
    "gitlab-token": "gl" + "pat-" + MIX[:20],
    "slack-token": "xo" + "xb-" + "123456789012-" + MIX[:24],
    "slack-app-token": "xa" + "pp-1-" + MIX[:40],
    "slack-webhook": "https://hooks.slack" + ".com/services/T" + UPPER[:8] + "/B" + UPPER[:8] + "/" + MIX[:24],
    "stripe-key": "sk_" + "live_" + MIX[:24],
    "anthropic-key": "sk-" + "ant-api03-" + MIX[:40],
    "openai-key": "sk-" + "proj-" + MIX[:48],
    "huggingface-token": "h" + "f_" + MIX[:34],
    "npm-token": "np" + "m_" + MIX[:36],
    "pypi-token": "py" + "pi-" + MIX[:80],
    "sendgrid-key": "S" + "G." + MIX[:22] + "." + MIX[:43],
    "twilio-key": "S" + "K" + HEX[:32],
    "telegram-token": "123456789" + ":AA" + MIX[:33],
    "shopify-token": "shp" + "at_" + HEX[:32],
    "vault-token": "hv" + "s." + MIX[:28],
    "private-key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "jwt": "ey" + "J" + MIX[:20] + ".ey" + "J" + MIX[:30] + "." + MIX[:43],
    "authorization-header": "Authori" + "zation: Bearer " + MIX[:30],
    "url-password": "postgres://admin:" + "hunter2secret" + "@db.internal/app",
    "named-value": "DATABASE_PASS" + "WORD=" + "Tr0ub4dor-and-3",
}
ORDINARY = [
    "password = os.environ['DB_PASSWORD']",
    "token = self.tokenizer.next_token()",
    "api_key: str = Field(default='')",
    'password="changeme-please"',
    "secret_key = settings.SECRET_KEY",
    "def test_token_is_refreshed(token: AccessToken2) -> None: ...",
    "max_tokens=1024, eos_token=tokenizer.eos_token_id",
    "postgres://user:${PASSWORD}@localhost/db and http://user:<password>@host/",
    "sk-learn-style-estimators-and-a-task-about-risk-management-in-general",
    "sha256:" + HEX[:64] + " commit " + HEX[:40],
    "monkey = 'banana1234'; keyboard = 'qwerty12345'",
    "see https://example.org:8080/path@v2 and git@github.com:org/repo.git",
]


@pytest.mark.parametrize("rule", PLANTED)
def test_a_planted_secret_is_found(rule):
    """Each format is found by its own rule, wherever it stands in the text."""
    assert find_secret(PLANTED[rule]) == rule
    assert find_secret(f"import os\nvalue = '{PLANTED[rule]}'\nprint(1)") is not None


@given(st.sampled_from(sorted(PLANTED)), st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_what_stands_before_does_not_hide_it(rule, before):
    """A secret on its own line is found after any text."""
    assert find_secret_in(["nothing here", f"{before}\n {PLANTED[rule]} \n"]) is not None


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_code_is_left_alone(text):
    """Code that only speaks of secrets is not one."""
    assert find_secret(text) is None


def test_ordinary_files_are_left_alone():
    """In this program's own files at most 4 in 100 are flagged."""
    files = list(Path(flywheel.__file__).parent.rglob("*.py"))
    flagged = [file.name for file in files if find_secret(file.read_text())]
    assert len(flagged) <= len(files) * 0.04, flagged


def test_every_rule_can_be_met():
    """A mark that is not lower case would never be met; a token shorter than the shortest run would not be, either."""
    assert all(rule.mark == rule.mark.lower() for rule in RULES)
    assert len({(rule.name, rule.pattern) for rule in RULES}) == len(RULES)


@given(st.text(max_size=300))
def test_any_text_can_be_looked_at(text):
    """Whatever it holds, half characters and stray escapes too, a text has an answer, and the same one twice."""
    assert find_secret(text) == find_secret(text)
    assert find_secret_in([text]) == find_secret(text)


@given(st.sampled_from(sorted(PLANTED)), st.integers(1, 4))
def test_escapes_hide_nothing(rule, depth):
    """Written as JSON in JSON in JSON, a secret is still found."""
    text = f"line\n{PLANTED[rule]}\n"
    for _ in range(depth):
        text = json.dumps({"content": text})
    assert find_secret(text) is not None


def test_what_is_remembered_is_what_is_found():
    """A long text that comes again is answered as the first time, with and without a secret."""
    clean, dirty = "nothing to see here\n" * 100, "nothing to see here\n" * 100 + PLANTED["github-token"]
    for _ in range(3):
        assert find_secret_in([clean, "short"]) is None
        assert find_secret_in([clean, dirty]) == "github-token"
        assert find_secret_in([clean, PLANTED["npm-token"]]) == "npm-token"
