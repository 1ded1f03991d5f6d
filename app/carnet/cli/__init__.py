"""The ``carnet`` command: one module per group of commands.

Modules here import at the top only what is quick to load; each command imports what it runs, so
that ``carnet --help`` answers at once.
"""

from __future__ import annotations

import gc
import signal
import sys

YOUNG = 10_000
"""Objects that are made before Python looks for unreachable ones among them: not 700, for loading
makes hundreds of thousands that all stay."""


def main() -> None:
    """Run the command and exit with its code."""
    gc.set_threshold(YOUNG)
    hears_ctrl_c = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if hears_ctrl_c:  # nothing is started yet that would have to be stopped, so just end
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from carnet.cli.faults import run
    from carnet.cli.root import carnet

    # A killed command and a closed terminal end like Ctrl-C: what was started is stopped.
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    if hears_ctrl_c:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(run(carnet, sys.argv[1:]))
