"""The list of packages says what is installed."""

import json
import re
from pathlib import Path


def test_every_pinned_package_is_on_the_list_with_its_version() -> None:
    pinned = [
        line.split("==")
        for line in Path("constraints.txt").read_text().splitlines()
        if "==" in line
    ]
    listed = json.loads(Path("docs/sbom.cdx.json").read_text())["components"]
    versions = {re.sub(r"[-_.]+", "-", each["name"]).lower(): each["version"] for each in listed}
    missing = [
        name
        for name, version in pinned
        if versions.get(re.sub(r"[-_.]+", "-", name).lower()) != version
    ]
    assert not missing, "run `make sbom`"


def test_the_list_names_no_path_of_the_machine_that_made_it() -> None:
    assert "file:" not in Path("docs/sbom.cdx.json").read_text()
