"""Recognises credentials in addresses, and in variables that would be shown to others."""

import re

FORBIDDEN_USER = ("http", "https", "s3", "s3a", "gs", "gcs", "az")
"""Schemes in which a user name before the host is a key. In others, such as abfs and sftp, it is
part of an address."""
USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*)://(?P<user>[^/?#\s@]*)@")
SIGNED = re.compile(
    r"://[^\s]*[?&;](?:x-amz-[a-z-]*|x-goog-[a-z-]*|sig|signature|awsaccesskeyid|token|"
    r"access_token|auth|key|api_?key|access_?key(?:_?id)?|secret|password|passwd|pwd)=[^&\s]",
    re.IGNORECASE,
)
"""An address whose query holds a key or a signature."""
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
SERVICE = (
    "DATABASE|DB|POSTGRES|POSTGRESQL|PG|MYSQL|MARIADB|MONGO|MONGODB|REDIS|AMQP|RABBITMQ|BROKER|"
    "CELERY|CLICKHOUSE|ELASTICSEARCH|SQLALCHEMY|STORAGE|SENTRY|JDBC|ODBC|WEBHOOK|SLACK|SMTP"
)
SERVICE_ADDRESS = re.compile(
    rf"(^|_)({SERVICE})_?(\w*_)?(URL|URI|CONN|CONNECTION|CONNECTION_?STRING)$|CONNECTION_?STRING|"
    r"(^|_)CONN_?STR|WEBHOOK",
    re.IGNORECASE,
)
"""Names of the addresses of services, which usually hold their passwords."""
SECRET_VALUE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|"
    r"\b(AKIA|ASIA|AIDA|AROA)[A-Z0-9]{12,}|"
    r"\beyJ[\w-]{5,}\.[\w-]{5,}\.|"
    r"\b(gh[pousr]_|github_pat_|glpat-|hf_|sk-|xox[abeprs]-|AIza|ya29\.|npm_|pypi-|dckr_pat_|"
    r"SG\.)[\w.-]{16,}|"
    r"^\s*(bearer|basic)\s+\S|"
    r"\b(password|passwd|pwd|secret|account_?key|shared_?access_?(key|signature)|api_?key)\s*[=:]\s*\S",
    re.IGNORECASE,
)
"""Values that are secrets whatever their name."""


def has_credentials(address: str) -> bool:
    """Return whether an address holds a password, a key or a signature."""
    for found in USERINFO.finditer(address):
        if ":" in found["user"] or found["scheme"].lower() in FORBIDDEN_USER:
            return True
    return SIGNED.search(address) is not None


def is_secret_name(name: str) -> bool:
    """Return whether the name of a variable is that of a secret, by its words."""
    words = [word.upper() for word in WORDS.findall(name)]
    if any(word in SECRET_WORDS or word.removesuffix("S") in SECRET_WORDS for word in words):
        return True
    if any(SECRET_PARTS.search(word) for word in words):
        return True
    return SERVICE_ADDRESS.search(name) is not None


def is_secret_value(value: str) -> bool:
    """Return whether the value of a variable looks like a secret, or is an address with one."""
    return has_credentials(value) or SECRET_VALUE.search(value) is not None
