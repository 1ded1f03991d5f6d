"""Ctrl-C while a command is still being loaded."""

import signal
import subprocess
import sys

import pytest

SCRIPT = """
import os, signal, sys
class Pressed:
    def find_spec(self, name, *_):
        if name == "{module}.faults":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Pressed())
from {module} import main
main()
"""


@pytest.mark.parametrize("module", ["carnet.cli", "carnet_client.cli"])
def test_ctrl_c_while_a_command_loads_shows_no_traceback(module: str) -> None:
    script = SCRIPT.format(module=module)
    done = subprocess.run(
        [sys.executable, "-c", script, "--help"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
