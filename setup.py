"""Puts the folders of the workflow into the wheel; all else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

WORKFLOW = Path("otcondense", "_workflow")
"""Where they lie in the wheel: at the top, their names would be in the way of others."""
FOLDERS = ("actors", "jobs", "pipeline")
BESIDE = "constraints.txt"
"""The tested versions, which `otcondense doctor` compares."""


class BuildWithWorkflow(build_py):
    """Builds the package, then copies the workflow into it."""

    def run(self) -> None:
        """Build; an editable install finds the folders in the checkout."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / WORKFLOW
        for name in FOLDERS:
            shutil.rmtree(target / name, ignore_errors=True)
            ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
            shutil.copytree(name, target / name, ignore=ignored)
        shutil.copyfile(BESIDE, target / BESIDE)


setup(cmdclass={"build_py": BuildWithWorkflow})
