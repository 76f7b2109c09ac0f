"""Random requests get an answer or a refusal: no server error, no file from outside the run."""

from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from jobs.dashboard.access import Access
from jobs.dashboard.app import create_app
from tests.generators.page_runs import make_run

HOST = {"host": "127.0.0.1"}
SECRET = "a secret outside the run"


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    root = tmp_path_factory.mktemp("fuzz")
    run = make_run(root)
    (root / "secret.txt").write_text(SECRET)
    return create_app(run, Access())


def test_every_operation_of_the_schema(app):
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers=HOST)
    operations = [each.ok() for each in schema.get_all_operations()]
    assert len(operations) >= 7
    for operation in operations:

        @settings(max_examples=40, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def answers(case):
            response = case.call(headers=HOST)
            assert response.status_code < 500, response.text
            assert SECRET not in response.text

        answers()


@pytest.fixture(scope="module")
def client(app):
    return TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.text(max_size=60).map(quote), up=st.integers(0, 6))
@example(path="secret.txt", up=2)
def test_any_path(client, path, up):
    for prefix in ("/", "/static/", "/assets/"):
        response = client.get(prefix + "%2e%2e/" * up + path)
        assert response.status_code < 500, response.text
        assert SECRET not in response.text


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(min_size=1, max_size=80), row=st.integers())
def test_any_name_of_a_class_or_method(client, value, row):
    for address, query in (
        ("/class", {"method": value, "name": "ant"}),
        ("/class", {"method": "random", "name": value}),
    ):
        assert client.get(address, params=query).status_code < 500
    assert (
        client.get("/image", params={"method": "random", "name": value, "row": row}).status_code
        < 500
    )
    assert (
        client.get("/samples", params={"model": value, "method": value, "step": row}).status_code
        < 500
    )
