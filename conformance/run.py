"""Holds Carnet against what others publish, and writes docs/conformance.md. See --help."""

import sys

from harness.command import main

if __name__ == "__main__":
    sys.exit(main())
