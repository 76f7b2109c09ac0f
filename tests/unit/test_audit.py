"""`make check` says what was not audited, and fails for known vulnerabilities only."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

AUDIT = Path(__file__).parents[2] / ".ci" / "audit"
SAFE = {"name": "safe", "version": "1", "vulns": []}
UNKNOWN = {"name": "unknown", "skip_reason": "Dependency not found on PyPI"}
BAD = {"name": "bad", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}


def audit(root: Path, script: str) -> subprocess.CompletedProcess[str]:
    program = root / "pip-audit"
    program.write_text(f"#!{sys.executable}\nimport sys\n{script}\n")
    program.chmod(0o755)
    command = [sys.executable, str(AUDIT), str(program), "--no-deps"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("packages", "status", "said"),
    [
        ([SAFE], 0, "audited: 1 packages, no known vulnerability\n"),
        ([UNKNOWN] * 7, 0, "not audited: 7 of 7 packages"),
        ([SAFE, UNKNOWN], 0, "not audited: 1 of 2 packages"),
        ([BAD, SAFE], 1, "bad 2: CVE-1, fixed in 3\n"),
        ([BAD, UNKNOWN], 1, "not audited: 1 of 2 packages"),
    ],
)
def test_every_package_is_audited_or_named(
    packages: list[dict[str, Any]], status: int, said: str, tmp_path: Path
) -> None:
    text = json.dumps({"dependencies": packages})
    ended = audit(tmp_path, f"print({text!r}); sys.exit({status})")
    assert ended.returncode == status
    assert said in ended.stdout


@pytest.mark.parametrize(
    "script", ["sys.exit('ConnectionError: no route to host')", "sys.exit(1)", "print('[]')"]
)
def test_a_service_that_cannot_be_reached_is_said(script: str, tmp_path: Path) -> None:
    ended = audit(tmp_path, script)
    assert ended.returncode == 0
    assert ended.stdout.startswith("not audited: no package")


def test_the_check_uses_it() -> None:
    makefile = (AUDIT.parents[1] / "Makefile").read_text()
    assert ".ci/audit $(BIN)/pip-audit" in makefile
    assert "not audited: OFFLINE" in makefile
