"""Each worker imports only the libraries that its stage needs."""

import json
import subprocess
import sys

HEAVY = frozenset(
    {
        "diffusers",
        "lark",  # a second in every Ray process, where jsonschema finds rfc3987-syntax
        "ot",
        "pandas",
        "plotly",
        "ray",
        "timm",
        "torch",
        "torchvision",
        "transformers",
    }
)
NEEDED = {
    "actors.pool_config": frozenset(),
    "actors.units": frozenset(),
    "actors.scorer": frozenset({"torch"}),
    "actors.sampler": frozenset({"torch", "ray"}),
    "actors.selector": frozenset({"torch", "ray", "ot"}),
}
"""The heavy libraries that each module may import, in an order in which they only grow."""
IMPORT_ALL = """
import importlib, json, sys
modules = {}
for name in sys.argv[1:]:
    importlib.import_module(name)
    modules[name] = list(sys.modules)
print(json.dumps(modules))
"""


def test_each_worker_imports_only_what_it_needs() -> None:
    command = [sys.executable, "-c", IMPORT_ALL, *NEEDED]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    modules = json.loads(printed)
    heavy = {name: HEAVY & set(modules[name]) for name in NEEDED}
    assert not {name: heavy[name] - NEEDED[name] for name in NEEDED if heavy[name] - NEEDED[name]}
