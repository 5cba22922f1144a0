"""The command ``rankway``, also available as ``python -m rankway``."""

from rankway import activate


def main() -> None:
    """Run the command line with Rankway's own packages."""
    activate()
    from cli.main import main as run

    run()


if __name__ == "__main__":
    main()
