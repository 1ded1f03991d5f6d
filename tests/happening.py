"""What happens to the documents of a scene, as intake writes it down."""

from __future__ import annotations

import scene

from carnet.access.journal import Fact, JournalAction, ObjectKind, write

DEPOSITED = JournalAction.DEPOSIT_DOCUMENT


async def tell(
    made: scene.Scene, names: list[str], action: JournalAction = DEPOSITED, *, is_held: bool = False
) -> None:
    """Have something happen to documents of the scene, as intake writes it."""
    fact = Fact(
        made.record,
        action,
        "publisher.feeds",
        ObjectKind.DOCUMENT,
        tuple(made.documents[name] for name in names),
        is_held=is_held,
    )
    async with made.database.write() as work:
        await write(None, work, [fact])
