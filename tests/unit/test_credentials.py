"""Credentials are refused in every address of a configuration, and in the variables of a job."""

from pathlib import Path

import pytest
import yaml

from jobs.cluster.connection import Connection
from jobs.command.settings import load_config
from jobs.submit.request import JobRequest
from otcondense.config import _texts
from otcondense.credentials import has_credentials
from otcondense.errors import InputError
from otcondense.store import Store

KEY = "AKIA" + "ABCDEFGHIJKLMNOP"
JWT = "eyJ" + "hbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxIn0.abc"
PRIVATE = "-----BEGIN RSA " + "PRIVATE KEY-----"


def uri(user: str, rest: str, scheme: str = "https") -> str:
    return f"{scheme}://{user}@{rest}"


WITH_CREDENTIALS = [
    uri("key:pw", "bucket/run", "s3"),
    uri("key", "bucket/run", "s3"),
    uri("user:pw", "host.example/images"),
    uri("token", "host.example/images"),
    uri(":pw", "host.example/images", "http"),
    uri("user:pw", "host.example/images", "sftp"),
    "simplecache::" + uri("key:pw", "bucket/run", "s3"),
    "https://host.example/a.tar?X-Amz-Signature=abc",
    "https://host.example/a.tar?x=1&sig=abc",
    "https://host.example/a.tar?access_token=abc",
]
WITHOUT = [
    "s3://bucket/run",
    "https://host.example/images?page=2",
    "abfs://container@account.dfs.core.windows.net/run",
    "sftp://user@host.example/run",
    "/data/a@b/images",
    "/data/x:y@z",
    "memory://run",
    "models/a@b.safetensors",
    "https://host.example/a@b",
]


@pytest.mark.parametrize("address", WITH_CREDENTIALS)
@pytest.mark.parametrize(
    "key",
    [
        "run",
        "source.path",
        "source.class_names",
        "held_out.path",
        "encoder.weights",
        "selection.include",
        "source.kind",
    ],
)
def test_no_setting_takes_them_and_no_message_repeats_them(
    key: str, address: str, tmp_path: Path
) -> None:
    path = tmp_path / "c.yaml"
    values = {
        "run": "r",
        "source": {"path": "images"},
        "held_out": {"path": "other"},
        "encoder": {"name": "resnet18"},
    }
    path.write_text(yaml.safe_dump(values))
    text = f"['{address}']" if key == "selection.include" else address
    expected = "must be one of" if key == "source.kind" else "AWS_ACCESS_KEY_ID"
    with pytest.raises(InputError, match=expected) as refused:
        load_config(str(path), [f"{key}={text}"])
    assert "pw" not in str(refused.value)
    assert address not in str(refused.value)


@pytest.mark.parametrize("address", WITHOUT)
def test_other_addresses_are_accepted(address: str) -> None:
    assert not has_credentials(address)


@pytest.mark.parametrize("address", WITH_CREDENTIALS)
def test_a_store_refuses_them(address: str) -> None:
    with pytest.raises(InputError, match="AWS_ACCESS_KEY_ID") as refused:
        Store(address)
    assert "pw" not in str(refused.value)


@pytest.mark.parametrize(
    "name",
    [
        "MY_PASSWD",
        "DATABASE_URL",
        "MY_PWD",
        "DB_PASS",
        "PGPASSWORD",
        "MYSQL_PWD",
        "API_KEY",
        "APIKEY",
        "apiKey",
        "dbPassword",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "GITHUB_TOKEN",
        "GITHUBTOKEN",
        "HF_TOKEN",
        "WANDB_API_KEY",
        "SSH_PRIVATE_KEY",
        "SENTRY_DSN",
        "REDIS_URL",
        "MONGO_URI",
        "CELERY_BROKER_URL",
        "BASIC_AUTH",
        "AUTHORIZATION",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "CREDS",
        "DB_CONNECTION_STRING",
        "CONN_STR",
        "AZURE_STORAGE_CONNECTION_STRING",
        "SLACK_WEBHOOK_URL",
        "SESSION_COOKIE",
        "JWT",
        "MY_JWT",
        "PASSPHRASE",
        "GPG_PASSPHRASE",
        "SAS_TOKEN",
        "my-secret",
        "ACCOUNTKEY",
        "ENCRYPTION_KEYS",
        "TOKENS",
        "OTP",
        "POSTGRES_URL",
        "SQLALCHEMY_DATABASE_URI",
        "DB2_PASSWORD",
        "password1",
        "PASSWORD_FILE",
    ],
)
def test_a_variable_with_the_name_of_a_secret_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"--env {name} looks like a secret") as refused:
        JobRequest(verb="run", environment=(f"{name}=hidden",)).variables()
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    "value",
    [
        *WITH_CREDENTIALS,
        KEY,
        f"id={KEY}",
        JWT,
        PRIVATE,
        "ghp_" + "a" * 36,
        "hf_" + "b" * 34,
        "sk-" + "c" * 40,
        "xoxb-" + "1" * 24,
        "Bearer " + "abc",
        "Server=db;User=u;Password=" + "pw",
        "AccountName=a;AccountKey=" + "abc==",
    ],
)
def test_a_variable_with_the_value_of_a_secret_is_refused(value: str) -> None:
    with pytest.raises(InputError, match="--env INNOCENT looks like a secret") as refused:
        JobRequest(verb="run", environment=(f"INNOCENT={value}",)).variables()
    assert value not in str(refused.value)


@pytest.mark.parametrize(
    "entry",
    [
        "OMP_NUM_THREADS=4",
        "NCCL_DEBUG=INFO",
        "HF_HOME=/shared/hf",
        "TOKENIZERS_PARALLELISM=false",
        "TMPDIR=/scratch",
        "S3_ENDPOINT_URL=https://s3.example",
        "AWS_ENDPOINT_URL=http://minio:9000",
        "AWS_DEFAULT_REGION=here",
        "HTTPS_PROXY=http://proxy.example:3128",
        "MONKEY=1",
        "COMPASS=north",
        "KEYBOARD=de",
        "PYTHONPATH=/a:/b",
        "AUTHOR=me",
        "A=b=c",
        "GREETING=hello world",
        "PASSES=3",
    ],
)
def test_other_variables_are_accepted(entry: str) -> None:
    name, _, value = entry.partition("=")
    assert JobRequest(verb="run", environment=(entry,)).variables() == {name: value}


@pytest.mark.parametrize("user", ["user:" + "pw", "hidden"])
def test_the_address_of_a_dashboard_holds_none(user: str) -> None:
    with pytest.raises(InputError, match="must hold no credentials") as refused:
        Connection(f"https://{user}@head.example:8265")
    assert user not in str(refused.value)


def test_a_misplaced_address_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("run: r\n")
    with pytest.raises(InputError, match="found an address with credentials"):
        load_config(str(tmp_path / "c.yaml"), [uri("key:" + "pw", "bucket", "s3")])


def test_repeated_and_deep_values_are_looked_at_once() -> None:
    bomb: list[object] = ["x"]
    for _ in range(60):
        bomb = [bomb, bomb]
    deep: list[object] = [uri("key:" + "pw", "bucket", "s3")]
    for _ in range(5000):
        deep = [deep]
    assert [text for _, text in _texts({"bomb": bomb})] == ["x"]
    assert any(has_credentials(text) for _, text in _texts({"deep": deep}))
