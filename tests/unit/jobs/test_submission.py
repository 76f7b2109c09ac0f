"""What can be sent to a cluster, and what is refused before it is."""

import pytest

from jobs.submit.__main__ import main
from jobs.submit.request import JobRequest, check_request, known_verbs
from otcondense.errors import InputError


def test_verbs_are_what_can_be_started_and_is_of_use_there():
    assert {"run", "select_subset", "compare", "sweep", "measure", "convert", "doctor"} <= set(
        known_verbs()
    )
    assert not {"dashboard", "submit", "submission", "page"} & set(known_verbs())


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("measure", ("samples=/shared/a.npz", "against=/shared/b.npz")),
        ("convert", ("to-public", "/shared/ours", "/shared/out.safetensors")),
        ("run", ("--config", "jobs/configs/demo.yaml", "--run", "/shared/run")),
    ],
)
def test_a_job_that_can_be(verb, arguments):
    check_request(JobRequest(verb=verb, arguments=arguments))


@pytest.mark.parametrize(
    ("verb", "arguments", "message"),
    [
        ("submission", (), "submission is no verb of jobs"),
        ("dashboard", ("/shared/run",), "dashboard is no verb of jobs"),
        ("run", (), "must be an absolute path on storage that all nodes share"),
    ],
)
def test_a_job_that_cannot_be(verb, arguments, message):
    with pytest.raises(InputError, match=message):
        check_request(JobRequest(verb=verb, arguments=arguments))


@pytest.mark.parametrize("amount", ["-1", "nan", "inf", "many"])
def test_an_amount_that_cannot_be_reserved(amount, capsys):
    with pytest.raises(SystemExit) as left:
        main(["doctor", "--driver-cpus", amount])
    assert left.value.code == 2
    assert "--driver-cpus" in capsys.readouterr().err
