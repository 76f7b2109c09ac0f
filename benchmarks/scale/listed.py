"""Start a run and list its source, as `otcondense extract_features` does first.

`python -m benchmarks.scale.listed CONFIG RUN`
"""

import argparse

from jobs.command.settings import load_config
from jobs.run_directory.listing import write_source_listing
from jobs.run_directory.opening import working_run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config")
    parser.add_argument("run")
    arguments = parser.parse_args()
    config = load_config(arguments.config, [], arguments.run)
    with working_run(config, may_start=True) as run:
        write_source_listing(run)


if __name__ == "__main__":
    main()
