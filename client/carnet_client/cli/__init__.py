"""``carnet-client``: messages that only their members can read, at the command line."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command that was typed, and exit with its code."""
    from carnet_client.cli.faults import run
    from carnet_client.cli.root import client

    sys.exit(run(client, sys.argv[1:]))
