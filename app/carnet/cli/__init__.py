"""The ``carnet`` command."""


def main() -> None:
    """Run the command."""
