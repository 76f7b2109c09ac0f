"""List the verbs: `python -m jobs`."""

from jobs.command.verbs import GROUPS

NAME_WIDTH = 18


def main() -> None:
    """Print every verb with its summary, by group."""
    print("usage: python -m jobs.VERB --help")
    for group, verbs in GROUPS.items():
        print(f"\n{group}")
        for verb in verbs:
            print(f"  {verb.name:<{NAME_WIDTH}}{verb.summary}")


if __name__ == "__main__":
    main()
