# ruff: noqa: D102 - a maker's methods say what they make by name
"""Secrets made up at run time, from parts: nothing here looks like one, so that no scanner takes this file for a leak.

`planted(chance)` returns name -> a text as it stands in an agent's records, with a fresh random secret in it.
"""

import base64
import json
import random
import string
from collections.abc import Callable

ALNUM = string.ascii_letters + string.digits
WORDISH = ALNUM + "-_"
HEX = "0123456789abcdef"
BASE64 = ALNUM + "+/"
UPPER = string.ascii_uppercase + string.digits


class Maker:
    """Draws the random parts."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def of(self, alphabet: str, length: int) -> str:
        return "".join(self.chance.choices(alphabet, k=length))

    def password(self) -> str:
        return self.of(string.ascii_lowercase, 5) + self.of(string.digits, 2) + self.of(string.ascii_uppercase, 4)

    def block(self, lines: int) -> str:
        return "\n".join(self.of(BASE64, 64) for _ in range(lines))

    def jwt(self) -> str:
        parts = [{"alg": "HS256", "typ": "JWT"}, {"sub": self.of(string.digits, 10), "iat": 1700000000}]
        encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
        return ".".join([*encoded, self.of(WORDISH, 43)])

    def uuid(self) -> str:
        return "-".join(self.of(HEX, length) for length in (8, 4, 4, 4, 12))


def _pem(kind: str) -> Callable[[Maker], str]:
    def make(m: Maker) -> str:
        name = f"{kind} PRIVATE " + "KEY" + (" BLOCK" if kind == "PGP" else "")
        return f"-----BEGIN {name.strip()}-----\n{m.block(4)}\n-----END {name.strip()}-----"

    return make


def _prefixed(prefix: str, alphabet: str, length: int, around: str = "{}") -> Callable[[Maker], str]:
    return lambda m: around.format(prefix + m.of(alphabet, length))


FORMATS: dict[str, Callable[[Maker], str]] = {
    "aws access key": _prefixed("AK" + "IA", UPPER, 16),
    "aws session key": _prefixed("AS" + "IA", UPPER, 16),
    "aws secret key in a file": lambda m: "aws_secret_" + f"access_key = {m.of(BASE64, 40)}",
    "aws secret key in json": lambda m: json.dumps({"Secret" + "AccessKey": m.of(BASE64, 40)}),
    "github classic": _prefixed("gh" + "p_", ALNUM, 36),
    "github oauth": _prefixed("gh" + "o_", ALNUM, 36),
    "github app": _prefixed("gh" + "s_", ALNUM, 36),
    "github user": _prefixed("gh" + "u_", ALNUM, 36),
    "github refresh": _prefixed("gh" + "r_", ALNUM, 76),
    "github fine-grained": lambda m: "github" + f"_pat_{m.of(ALNUM, 22)}_{m.of(ALNUM, 59)}",
    "gitlab personal": _prefixed("gl" + "pat-", WORDISH, 20),
    "gitlab deploy": _prefixed("gl" + "dt-", WORDISH, 20),
    "slack bot": lambda m: "xo" + f"xb-{m.of(string.digits, 12)}-{m.of(string.digits, 12)}-{m.of(ALNUM, 24)}",
    "slack user": lambda m: "xo" + f"xp-{m.of(string.digits, 12)}-{m.of(string.digits, 12)}-{m.of(HEX, 32)}",
    "slack app": lambda m: "xa" + f"pp-1-A{m.of(UPPER, 10)}-{m.of(string.digits, 13)}-{m.of(HEX, 64)}",
    "slack webhook": lambda m: (
        "https://hooks.slack" + f".com/services/T{m.of(UPPER, 8)}/B{m.of(UPPER, 10)}/{m.of(ALNUM, 24)}"
    ),
    "discord webhook": lambda m: "https://discord" + f".com/api/webhooks/{m.of(string.digits, 18)}/{m.of(WORDISH, 68)}",
    "stripe live": _prefixed("sk_" + "live_", ALNUM, 24),
    "stripe test": _prefixed("sk_" + "test_", ALNUM, 99),
    "stripe restricted": _prefixed("rk_" + "live_", ALNUM, 24),
    "stripe webhook": _prefixed("wh" + "sec_", ALNUM, 32),
    "google api key": _prefixed("AI" + "za", WORDISH, 35),
    "google oauth client secret": _prefixed("GOC" + "SPX-", WORDISH, 28),
    "google access token": _prefixed("ya" + "29.", WORDISH, 120),
    "google refresh token": _prefixed("1/" + "/0", WORDISH, 60),
    "google service account": lambda m: json.dumps(
        {"type": "service_account", "private_key": _pem("")(m), "client_email": "a@b.iam.gserviceaccount.com"}
    ),
    "azure storage": lambda m: (
        "DefaultEndpointsProtocol=https;AccountName=store;Account" + f"Key={m.of(BASE64, 86)}==;EndpointSuffix=core"
    ),
    "azure service bus": lambda m: "SharedAccessKeyName=Root;SharedAccess" + f"Key={m.of(BASE64, 43)}=",
    "azure shared signature": lambda m: (
        "https://store.blob/c?sv=2022-11-02&se=2026-01-01&sp=r&s" + f"ig={m.of(ALNUM, 20)}%2B{m.of(ALNUM, 20)}%3D"
    ),
    "azure client secret": lambda m: f"{m.of(ALNUM, 3)}8" + f"Q~{m.of(WORDISH, 34)}",
    "openai project": _prefixed("sk-" + "proj-", WORDISH, 120),
    "openai classic": lambda m: "sk-" + f"{m.of(ALNUM, 19)}1T3BlbkFJ{m.of(ALNUM, 20)}",
    "anthropic": _prefixed("sk-" + "ant-api03-", WORDISH, 93),
    "hugging face": _prefixed("h" + "f_", string.ascii_letters, 34),
    "npm": _prefixed("np" + "m_", ALNUM, 36),
    "npm in .npmrc": lambda m: "//registry/:_auth" + f"Token={m.uuid()}",
    "pypi": _prefixed("py" + "pi-AgEIcHlwaS5vcmc", WORDISH, 150),
    "docker": _prefixed("dckr" + "_pat_", WORDISH, 27),
    "telegram": lambda m: f"{m.of('123456789', 10)}" + f":AA{m.of(WORDISH, 33)}",
    "twilio api key": _prefixed("S" + "K", HEX, 32),
    "twilio auth token": lambda m: "TWILIO_AUTH_" + f"TOKEN={m.of(HEX, 31)}7",
    "sendgrid": lambda m: "S" + f"G.{m.of(WORDISH, 22)}.{m.of(WORDISH, 43)}",
    "mailgun": _prefixed("ke" + "y-", HEX, 32),
    "mailgun signing": lambda m: f"{m.of(HEX, 32)}-{m.of(HEX, 8)}-" + m.of(HEX, 8),
    "mailchimp": lambda m: f"{m.of(HEX, 32)}-" + "us14",
    "digitalocean": _prefixed("do" + "p_v1_", HEX, 64),
    "shopify": _prefixed("shp" + "at_", HEX, 32),
    "heroku": lambda m: "HEROKU_API_" + f"KEY={m.uuid()}",
    "heroku platform": _prefixed("HR" + "KU-AA", WORDISH, 58),
    "vault": _prefixed("hv" + "s.", WORDISH, 90),
    "vault old": lambda m: "token is s" + f".{m.of(string.ascii_letters, 22)}42",
    "databricks": _prefixed("da" + "pi", HEX, 32),
    "atlassian": _prefixed("ATA" + "TT3", WORDISH, 180),
    "jwt": lambda m: m.jwt(),
    "bearer": lambda m: "Authori" + f"zation: Bearer {m.of(ALNUM, 30)}7",
    "basic": lambda m: "Authori" + "zation: Basic " + base64.b64encode(f"admin1:{m.password()}".encode()).decode(),
    "pem": _pem(""),
    "pem rsa": _pem("RSA"),
    "pem ec": _pem("EC"),
    "pem encrypted": _pem("ENCRYPTED"),
    "openssh": _pem("OPENSSH"),
    "pgp": _pem("PGP"),
    "putty": lambda m: "PuTTY-User-" + f"Key-File-2: ssh-rsa\nEncryption: none\nPrivate-Lines: 4\n{m.block(4)}",
    "basic-auth url": lambda m: f"https://deploy:{m.password()}" + "@git.internal/org/repo.git",
    "database url": lambda m: f"postgresql://app:{m.password()}" + "@db.internal:5432/app",
    "redis url": lambda m: f"redis://:{m.password()}" + "@cache:6379/0",
    "mongodb url": lambda m: f"mongodb+srv://app:{m.password()}" + "@cluster0.abcde.mongodb.net/app",
    ".env password": lambda m: "DB_PASS" + f"WORD={m.password()}",
    ".env password with marks": lambda m: "POSTGRES_PASS" + f"WORD={m.of(ALNUM, 4)}!{m.of(ALNUM, 3)}#7a",
    ".env secret": lambda m: "export DJANGO_SECRET_" + f"KEY='{m.of(ALNUM + '!@^&*-_=+', 48)}4z'",
    ".env token": lambda m: "GITHUB_TO" + f"KEN_CI={m.of(HEX, 39)}4",
    "yaml password": lambda m: "pass" + f"word: {m.password()}\nport: 5432",
    "json api key": lambda m: json.dumps({"api_" + "key": m.of(ALNUM, 31) + "7"}),
    "python literal": lambda m: "pass" + f'word: str = "{m.password()}"',
    "command line option": lambda m: "mysql --user app --pass" + f"word {m.password()} shop",
    "command line assignment": lambda m: "deploy --api-" + f"key={m.of(HEX, 31)}7",
    "xml element": lambda m: "<pass" + f"word>{m.password()}</password>",
    "properties": lambda m: "spring.datasource.pass" + f"word={m.of(string.ascii_lowercase, 8)}42",
    "connection string": lambda m: "Server=db;User Id=app;P" + f"wd={m.password()};",
    "flywheel": lambda m: "fly" + f"wheel-{m.of(WORDISH, 42)}7",
    "groq": _prefixed("gs" + "k_", ALNUM, 52),
    "linear": _prefixed("lin_" + "api_", ALNUM, 40),
    "new relic": _prefixed("NR" + "AK-", UPPER, 27),
    "age": _prefixed("AGE-SECRET-" + "KEY-1", UPPER, 58),
}


def planted(chance: random.Random) -> dict[str, str]:
    """Return a fresh secret of every format, in the words that stand around it."""
    maker = Maker(chance)
    return {name: make(maker) for name, make in FORMATS.items()}
