"""``carnet-client``: messages that only their members can read, at the command line."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Run the command that was typed, and exit with its code."""
    hears_ctrl_c = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if hears_ctrl_c:  # while it loads there is nothing to stop, so just end
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from carnet_client.cli.faults import run
    from carnet_client.cli.root import client

    if hears_ctrl_c:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(run(client, sys.argv[1:]))
