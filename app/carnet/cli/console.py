"""The actor of commands on the server's own machine, and how a command reaches the stores."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

from carnet.cli.faults import wait_for
from carnet.cli.workspace import Workspace, workspace
from carnet.errors import UserMistake
from carnet.people.actor import Assurance, Operator
from carnet.settings import Mode, Settings

T = TypeVar("T")

CONSOLE = Operator(UUID(int=0), Assurance.CONSOLE)
"""Whoever may run commands where the server runs. It has no account."""


def with_stores(act: Callable[[Workspace], Awaitable[T]]) -> T:
    """Run the action of a command on the opened stores.

    Raises:
        UserMistake: PostgreSQL is out of reach, or lacks migrations.
    """

    async def run() -> T:
        async with workspace(Settings.from_env(), tells_new=True) as opened:
            return await act(opened)

    return wait_for(run())


def refuse_production() -> None:
    """Keep a command of the sandbox out of production.

    Raises:
        UserMistake: CARNET_MODE is production.
    """
    if Settings.from_env().mode is Mode.PRODUCTION:
        raise UserMistake("This is for the sandbox only, and CARNET_MODE is production.")
