"""The pages of the documentation, in the repository."""

import subprocess

PAGES = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
    capture_output=True,
    text=True,
    check=True,
).stdout.split()
