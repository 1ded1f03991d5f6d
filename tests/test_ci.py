"""What `.ci/run` installs and says of the browser, on machines that are made up."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).parents[1] / ".ci" / "run"
PROGRAMS = ("redis-server", "node", "npm", "python3")
STUB = "#!/bin/sh\n%s\n"
WORKS, SNAP = "exit 0", "echo install the chromium snap >&2; exit 1"
NOT_RUN = "NOT RUN: tests/browser. Chromium is only to be had as a snap package"


def run_on(
    folder: Path, *, candidate: str, chromium: str | None, user: int = 0, node: bool = True
) -> tuple[list[str], str]:
    """Run it with stubs of everything; return the calls of apt-get and make, and what was said."""
    stubs = {name: WORKS for name in PROGRAMS}
    if not node:
        del stubs["node"]
    if chromium is not None:
        stubs["chromium"] = chromium
    stubs["id"] = f"echo {user}"
    stubs["apt-cache"] = f"echo '  Candidate: {candidate}'"
    stubs["apt-get"] = f'echo "apt-get $*" >> {folder}/calls'
    stubs["make"] = f'echo "make $*: $CARNET_TEST_NO_BROWSER" >> {folder}/calls'
    for name, does in stubs.items():
        (folder / name).write_text(STUB % does)
        (folder / name).chmod(0o755)
    for name in ("bash", "dirname", "grep", "env"):
        (folder / name).symlink_to(str(shutil.which(name)))
    done = subprocess.run(
        (RUN,),
        env={"PATH": str(folder), "HOME": os.environ.get("HOME", "/")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return (folder / "calls").read_text().splitlines(), done.stdout


INSTALL = "apt-get install -qq -y --no-install-recommends "
MAKE = ["make install: ", "make check: ", "make test: "]
WITHOUT = [f"{line}Chromium is only to be had as a snap package" for line in MAKE]
UPDATE = "apt-get update -qq"


@pytest.mark.parametrize(
    ("machine", "calls"),
    [
        ({"candidate": "156.0-1~deb12u1", "chromium": WORKS}, MAKE),
        ({"candidate": "156.0-1", "chromium": None}, [UPDATE, INSTALL + "chromium", *MAKE]),
        ({"candidate": "156.0-1", "chromium": None, "user": 1000}, MAKE),  # and tests fail
        ({"candidate": "2:1snap1-0ubuntu2", "chromium": None}, [UPDATE, *WITHOUT]),
        ({"candidate": "2:1snap1-0ubuntu2", "chromium": SNAP}, [UPDATE, *WITHOUT]),
        ({"candidate": "2:1snap1-0ubuntu2", "chromium": WORKS}, MAKE),
        (
            {"candidate": "2:1snap1-0ubuntu2", "chromium": SNAP, "node": False},
            [UPDATE, INSTALL + "nodejs", *WITHOUT],
        ),
        (
            {"candidate": "156.0-1", "chromium": None, "node": False},
            [UPDATE, INSTALL + "nodejs chromium", *MAKE],
        ),
    ],
)
def test_a_browser_is_had_or_its_lack_is_said(
    tmp_path: Path, machine: dict[str, object], calls: list[str]
) -> None:
    found, said = run_on(tmp_path, **machine)  # type: ignore[arg-type]
    assert found == calls
    assert (NOT_RUN in said.splitlines()[-1]) == (calls[-1] == WITHOUT[-1])
