"""Programs with a Ray cluster of their own, beside the one that tests share."""

import os
import subprocess
import sys


def run_program(*arguments: str, seconds: float = 800) -> subprocess.CompletedProcess[str]:
    """Run Python with some arguments, without Ray's settings of this process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env={**kept, "OMP_NUM_THREADS": "1"},
        timeout=seconds,
        check=False,
    )
