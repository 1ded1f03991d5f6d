"""``carnet record``: what operators may do about one record. None of it shows health data."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import UUID

import click

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from carnet.cli.workspace import Workspace
    from carnet.people.actor import Actor
    from carnet.store.database import Work

UNKNOWN = "No record is known by this id or number."
SUSPEND_EXAMPLE = """\
\b
Example:
  carnet record suspend - < number.txt
"""
RESUME_EXAMPLE = """\
\b
Example:
  carnet record resume 0192f0c1-5b7e-7c3a-9d0e-2f4b6a8c1e35
"""
STATE_EXAMPLE = """\
\b
Example:
  carnet record state 0192f0c1-5b7e-7c3a-9d0e-2f4b6a8c1e35
"""


@click.group()
def record() -> None:
    """Suspend and resume a record, show its state.

    RECORD is its id, or its holder's national number. Numbers on a command line are seen by
    everybody on the machine: give - and the number is read from stdin.
    """


@record.command(epilog=SUSPEND_EXAMPLE)
@click.argument("record")
def suspend(record: str) -> None:
    """Stop everything about RECORD: nobody reads, feeds or changes it."""
    from carnet.records import lifecycle_actions

    _change(record, lifecycle_actions.suspend)


@record.command(epilog=RESUME_EXAMPLE)
@click.argument("record")
def resume(record: str) -> None:
    """Bring RECORD back to its former state."""
    from carnet.records import lifecycle_actions

    _change(record, lifecycle_actions.resume)


@record.command(epilog=STATE_EXAMPLE)
@click.argument("record")
def state(record: str) -> None:
    """Print the id of RECORD, its state, and when something is due."""
    from carnet.cli.console import with_stores

    named = _named(record)

    async def show(opened: Workspace) -> str:
        async with opened.database.read() as work:
            return await _described(work, await _record_id(work, named))

    click.echo(with_stores(show))


def _change(record: str, act: Callable[[Actor, Work, UUID], Awaitable[UUID]]) -> None:
    from carnet.cli.console import CONSOLE, with_stores

    named = _named(record)

    async def change(opened: Workspace) -> str:
        async with opened.database.write() as work:
            done = await act(CONSOLE, work, await _record_id(work, named))
        async with opened.database.read() as work:
            return await _described(work, done)

    click.echo(with_stores(change))


def _named(record: str) -> str:
    if record != "-":
        return record
    return sys.stdin.readline().strip()


async def _record_id(work: Work, named: str) -> UUID:
    from carnet.cli.console import CONSOLE
    from carnet.errors import NotFound, UserMistake
    from carnet.people.identifiers import NATIONAL
    from carnet.records.lifecycle_actions import find_record
    from carnet.records.tables import Record
    from carnet.values import Identifier

    with suppress(ValueError):
        record_id = UUID(named)
        if await work.session.get(Record, record_id) is None:
            raise UserMistake(UNKNOWN)
        return record_id
    found = set()
    for system in NATIONAL:
        try:
            found.add(await find_record(CONSOLE, work, Identifier(system, named)))
        except NotFound:
            continue
    if len(found) != 1:
        raise UserMistake(UNKNOWN)
    return found.pop()


async def _described(work: Work, record_id: UUID) -> str:
    from carnet.cli.console import CONSOLE
    from carnet.records.lifecycle_queries import state_of

    state, due_at = await state_of(CONSOLE, work, record_id)
    due = f"  due {due_at:%Y-%m-%d %H:%M} UTC" if due_at else ""
    return f"{record_id}  {state.value}{due}"
