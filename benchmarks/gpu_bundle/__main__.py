"""`python -m benchmarks.gpu_bundle [--output build/gpu-bundle]`: write the bundle.

It is a folder of wheels for CPython 3.12 on Linux x86-64 and `install.py`, which installs them on a
machine without network. `benchmarks/README.md` says how to use it.
"""

import argparse
import shutil
import sys
from pathlib import Path

from benchmarks.gpu_bundle import install
from benchmarks.gpu_bundle.contents import MACHINE, MOST_BYTES, WHEELS, requirements
from benchmarks.gpu_bundle.download import fetch

PYTHON = "3.12"
"""Version of Python on the machine."""


def build(folder: Path) -> int:
    """Write the bundle into a new folder; return its size in bytes."""
    temporary = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    fetch(WHEELS, PYTHON, temporary)
    shutil.copyfile(install.__file__, temporary / "install.py")
    for name, content in (("machine.txt", MACHINE), ("requirements.txt", requirements())):
        (temporary / name).write_text("\n".join([*content, ""]), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    return sum(path.stat().st_size for path in folder.iterdir())


def main() -> None:
    """Write the bundle and print what it holds."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("build/gpu-bundle"))
    folder = parser.parse_args().output
    size = build(folder)
    for path in sorted(folder.glob("*.whl")):
        print(f"{path.stat().st_size / 2**20:7.2f} MiB  {path.name}")
    print(f"{size / 2**20:7.2f} MiB in {folder}")
    if size > MOST_BYTES:
        sys.exit(f"the bundle must have at most {MOST_BYTES / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
