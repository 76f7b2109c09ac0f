"""Recognises credentials in addresses, and in variables that would be shown to others."""

import re

FORBIDDEN_USER = ("http", "https", "s3", "s3a", "gs", "gcs", "az")
"""Schemes in which a user name before the host is a key. In others, such as abfs and sftp, it is
part of an address."""
SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{0,30}$")
"""The scheme at the end of the text before `://`."""
LONGEST_SCHEME = 32
AUTHORITY = re.compile(r"[^/?#\s]*")
"""User and host of an address."""
SIGNED = re.compile(
    r"[?&;](?:x-amz-[a-z-]*|x-goog-[a-z-]*|sig|signature|awsaccesskeyid|token|"
    r"access_token|auth|key|api_?key|access_?key(?:_?id)?|secret|password|passwd|pwd)=[^&\s]",
    re.IGNORECASE,
)
"""A query that holds a key or a signature."""
WHERE_INSTEAD = (
    "give them in the environment instead: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
    "AWS_PROFILE, for s3; GOOGLE_APPLICATION_CREDENTIALS for gs; AZURE_STORAGE_CONNECTION_STRING "
    "for az and abfs; ~/.netrc for https"
)

WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
"""The words of a name such as MY_API_KEY, apiKey or db2-password."""
SECRET_WORDS = frozenset(
    [
        "PASS",
        "PW",
        "PWD",
        "PASSWD",
        "PASSPHRASE",
        "PASSCODE",
        "PASSKEY",
        "PASSWORD",
        "SECRET",
        "TOKEN",
        "KEY",
        "APIKEY",
        "CREDENTIAL",
        "CRED",
        "CREDS",
        "AUTH",
        "AUTHORIZATION",
        "DSN",
        "COOKIE",
        "JWT",
        "SAS",
        "PAT",
        "OTP",
        "PIN",
        "BEARER",
        "SIGNATURE",
        "NETRC",
        "PGPASS",
        "KUBECONFIG",
        "HTPASSWD",
    ]
)
"""Words that name a secret, alone or in the plural."""
SECRET_PARTS = re.compile(
    "PASSWORD|PASSWD|PASSPHRASE|SECRET|CREDENTIAL|TOKEN$|TOKENS$|APIKEY|(ACCESS|PRIVATE|ACCOUNT|"
    "MASTER|SSH|SIGNING|SERVICE|ENCRYPTION)KEY|AUTHKEY"
)
"""Parts of words that do."""
SERVICES = frozenset(
    [
        *("DATABASE", "DB", "POSTGRES", "POSTGRESQL", "PG", "MYSQL", "MARIADB", "MONGO", "MONGODB"),
        *("REDIS", "AMQP", "RABBITMQ", "BROKER", "CELERY", "CLICKHOUSE", "ELASTICSEARCH", "SMTP"),
        *("SQLALCHEMY", "STORAGE", "SENTRY", "JDBC", "ODBC", "SLACK"),
    ]
)
"""Words of services whose addresses usually hold their passwords."""
ADDRESS_WORDS = frozenset(["URL", "URI", "CONN", "CONNECTION"])
WHOLE_ADDRESSES = ("CONNECTIONSTRING", "CONNSTR", "CONNSTRING", "WEBHOOK")
"""Parts of names, without separators, that mean such an address."""
SECRET_VALUE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|"
    r"\b(AKIA|ASIA|AIDA|AROA)[A-Z0-9]{12,}|"
    r"\beyJ[\w-]{5,}\.[\w-]{5,}\.|"
    r"\b(gh[pousr]_|github_pat_|glpat-|hf_|sk-|xox[abeprs]-|AIza|ya29\.|npm_|pypi-|dckr_pat_|"
    r"SG\.)[\w.-]{16,}|"
    r"^\s*(bearer|basic)\s+\S|"
    r"\b(password|passwd|pwd|secret|account_?key|shared_?access_?(key|signature)|api_?key)"
    r"\s*[=:]\s*\S",
    re.IGNORECASE,
)
"""Values that are secrets whatever their name."""


def has_credentials(address: str) -> bool:
    """Return whether an address holds a password, a key or a signature."""
    if "://" not in address:
        return False
    before, *parts = address.split("://")
    for rest in parts:
        found = AUTHORITY.match(rest)
        assert found is not None, "the pattern fits the empty text"
        user, at, _ = found[0].rpartition("@")
        scheme = SCHEME.search(before[-LONGEST_SCHEME:])
        is_key = scheme is not None and scheme[0].lower() in FORBIDDEN_USER
        if at and (":" in user or is_key):
            return True
        before = rest
    return SIGNED.search(address) is not None


def is_secret_name(name: str) -> bool:
    """Return whether the name of a variable is that of a secret, by its words."""
    words = [word.upper() for word in WORDS.findall(name)]
    if any(word in SECRET_WORDS or word.removesuffix("S") in SECRET_WORDS for word in words):
        return True
    if any(SECRET_PARTS.search(word) for word in words):
        return True
    if any(part in "".join(words) for part in WHOLE_ADDRESSES):
        return True
    return bool(words) and words[-1] in ADDRESS_WORDS and not SERVICES.isdisjoint(words)


def is_secret_value(value: str) -> bool:
    """Return whether the value of a variable looks like a secret, or is an address with one."""
    return has_credentials(value) or SECRET_VALUE.search(value) is not None
