"""The formats of secrets that are known: a closed table, one row a kind. Pure.

A rule without a mark is a token: at least twenty of `[A-Za-z0-9_-]` in a row. Its pattern is tried where such a run
begins and after each hyphen in it, so it names no beginning of its own; where it begins by looking behind, the run
follows one of `.:/~`. A rule with a mark is searched for in texts that hold the mark, in lower case.
"""

from typing import NamedTuple


class Rule(NamedTuple):
    """A kind of secret: its name, the pattern that decides, and the substring that announces it."""

    name: str
    pattern: str
    mark: bytes = b""


_E = r"(?![A-Za-z0-9_])"  # nothing of it follows
_HEX8 = r"[0-9a-f]{8}"

RULES: tuple[Rule, ...] = (
    Rule("aws-access-key", r"(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z0-9]{16}" + _E),
    Rule("google-api-key", r"AIza[\w-]{35}(?![\w-])"),
    Rule("google-oauth", r"GOCSPX-[\w-]{20,}"),
    Rule("google-oauth", r"(?<=ya29\.)[\w-]{20,}|(?<=\b1//)0[\w-]{40,}"),
    Rule("google-hmac-key", r"GOOG1[A-Z0-9]{50,}"),
    Rule("azure-client-secret", r"(?<=\dQ~)[\w-]{20,}"),
    Rule("github-token", r"gh[pousr]_[A-Za-z0-9]{36,}"),
    Rule("github-fine-grained-token", r"github_pat_\w{50,}"),
    Rule("gitlab-token", r"gl(?:pat|dt|rt|ptt|soat|cbt|ft|imt|oas)-[\w-]{20,}"),
    Rule("bitbucket-token", r"ATBB[A-Za-z0-9]{24,}|ATCTT3[\w-]{20,}"),
    Rule("atlassian-token", r"ATATT3[\w-]{20,}"),
    Rule("slack-token", r"xox[abeoprs]-[0-9A-Za-z-]{15,}"),
    Rule("slack-app-token", r"xapp-\d-[0-9A-Za-z-]{20,}"),
    Rule("discord-token", r"[MNO][A-Za-z0-9_-]{22,27}\.[\w-]{6}\.[\w-]{27,}"),
    Rule("stripe-key", r"[sr]k_(?:live|test|prod)_[0-9A-Za-z]{16,}"),
    Rule("stripe-webhook", r"whsec_[0-9A-Za-z]{20,}"),
    Rule("square-token", r"sq0(?:atp|csp|idp)-[\w-]{22,}|EAAA[\w-]{60}" + _E),
    Rule("anthropic-key", r"sk-ant-[\w-]{20,}"),
    Rule("openai-key", r"sk-(?:(?:proj|svcacct|admin|or-v1)-[\w-]{20,}|(?=[A-Za-z]*\d)[A-Za-z0-9]{32,})"),
    Rule("huggingface-token", r"(?:hf|api_org)_[A-Za-z0-9]{30,}" + _E),
    Rule("flywheel-key", r"flywheel-(?=[\w-]*\d)[\w-]{43}(?![\w-])"),
    Rule("groq-key", r"gsk_[A-Za-z0-9]{40,}"),
    Rule("replicate-token", r"r8_[A-Za-z0-9]{37,}"),
    Rule("npm-token", r"npm_[A-Za-z0-9]{36}" + _E),
    Rule("pypi-token", r"pypi-[\w-]{50,}"),
    Rule("rubygems-key", r"rubygems_[0-9a-f]{48}"),
    Rule("docker-token", r"dckr_(?:pat|oat)_[\w-]{20,}"),
    Rule("sendgrid-key", r"(?<=SG\.)[\w-]{20,24}\.[\w-]{3}"),
    Rule("twilio-key", r"(?:SK|AC)[0-9a-f]{32}" + _E),
    Rule("mailgun-key", rf"key-[0-9a-f]{{32}}{_E}|[0-9a-f]{{32}}-{_HEX8}-{_HEX8}{_E}"),
    Rule("mailchimp-key", r"[0-9a-f]{32}-us\d{1,2}" + _E),
    Rule("telegram-token", r"(?<=\d{8}:)[\w-]{35}(?![\w-])"),
    Rule("digitalocean-token", r"do[opr]_v1_[0-9a-f]{64}"),
    Rule("shopify-token", r"shp(?:at|ca|pa|ss|tka)_[0-9a-fA-F]{32}"),
    Rule("databricks-token", r"dapi[0-9a-f]{32}"),
    Rule("vault-token", r"(?<=hv[sbr]\.)[\w-]{24,}|(?<=[^\w.-]s\.)(?=[A-Za-z]*\d)[A-Za-z0-9]{24}" + _E),
    Rule("heroku-key", r"HRKU-[\w-]{36,}"),
    Rule("terraform-token", r"(?<=\.atlasv1\.)[\w-]{60,}"),
    Rule("grafana-token", rf"glsa_[A-Za-z0-9]{{32}}_{_HEX8}|glc_[A-Za-z0-9]{{20,}}"),
    Rule("sentry-token", r"sntry[su]_[\w-]{40,}"),
    Rule("new-relic-key", r"NRAK-[A-Z0-9]{27}" + _E),
    Rule("linear-token", r"lin_api_[A-Za-z0-9]{32,}"),
    Rule("notion-token", r"(?:ntn|secret)_[A-Za-z0-9]{43,}" + _E),
    Rule("postman-key", r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),
    Rule("supabase-key", r"sbp_[0-9a-f]{40}"),
    Rule("netlify-token", r"nfp_[A-Za-z0-9]{36,}"),
    Rule("planetscale-token", r"pscale_(?:tkn|oauth|pw)_[\w-]{32,}"),
    Rule("age-key", r"AGE-SECRET-KEY-1[0-9A-Z]{50,}"),
    Rule("putty-key", r"PuTTY-User-Key-File-\d"),
    Rule("jwt", r"eyJ[\w-]{10,}\.eyJ"),
    Rule("private-key", r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----", mark=b"private key"),
    Rule("azure-signature", r"&sig=[A-Za-z0-9%+/]{40,}", mark=b"&"),
    Rule("authorization-header", r"(?i)authorization['\"\]]*\s*[:=,]\s*['\"]?(?:basic|bearer|token)\s+"
         r"(?=[\w+/=.~-]*\d)[\w+/=.~-]{16,}", mark=b"authorization"),
)  # fmt: skip
