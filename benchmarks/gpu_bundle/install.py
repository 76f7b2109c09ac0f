"""Install what this machine lacks of the wheels beside this file: `python3 install.py`.

With `--target FOLDER` they go into a folder; put it on PYTHONPATH. Packages that the machine has,
torch above all, stay as they are.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import unquote, urlparse

HERE = Path(__file__).resolve().parent
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-index"]


def lines(name: str) -> list[str]:
    """Return the lines of a file beside this one."""
    return (HERE / name).read_text(encoding="utf-8").split()


def absent(names: list[str]) -> list[str]:
    """Return the packages that this Python does not have."""
    missing = []
    for name in names:
        try:
            version(name)
        except PackageNotFoundError:
            missing.append(name)
    return missing


def needed() -> list[str]:
    """Return the paths of the wheels that this Python lacks; pip finds them."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [*PIP, "--dry-run", "--quiet", "--find-links", str(HERE)]
        subprocess.run(
            [*command, "--report", str(report), "-r", str(HERE / "requirements.txt")],
            check=True,
            env=os.environ | {"PIP_BREAK_SYSTEM_PACKAGES": "1"},  # nothing is installed here
        )
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
    return [unquote(urlparse(each["download_info"]["url"]).path) for each in found]


def main() -> None:
    """Install and say what."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--target", type=Path, help="folder to install into")
    options = parser.parse_args()
    missing = absent(lines("machine.txt"))
    if missing:
        sys.exit(f"this Python must have {', '.join(missing)}, which the bundle does not hold")
    wheels = needed()
    place = [] if options.target is None else ["--target", str(options.target), "--upgrade"]
    if wheels:
        subprocess.run([*PIP, "--quiet", "--no-deps", *place, *wheels], check=True)
    names = [Path(wheel).name.split("-")[0] for wheel in wheels]
    print(f"installed {len(names)} packages: {', '.join(names)}")


if __name__ == "__main__":
    main()
