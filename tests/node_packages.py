"""Node's packages, installed once into the folder that asks for them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from harness import node


def install_packages(folder: Path) -> Path:
    """Return the folder, once it has what its package.json names; without Node, skip.

    Where CI is set, Node has to be there.
    """
    try:
        return node.install(folder)
    except node.NodeMissing as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
