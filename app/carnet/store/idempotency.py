"""An action done once: the same key of the same actor repeats the answer, not the action.

The key's row is inserted before the action, in the same transaction. A concurrent twin waits on
that row in PostgreSQL until the first commits and then reads its answer, or, if the first rolled
back, does the action itself. A refused action leaves no row, so it may be tried again.

The answer holds ids, counts and words of ours, never personal data; what ids name is read again
with the actor's rights of that moment.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert

from carnet.errors import Conflict
from carnet.store.database import Work
from carnet.store.tables import IdempotencyKey

KEPT_FOR = timedelta(days=7)  # longer than any client keeps retrying one request


async def once(
    work: Work,
    *,
    actor: str,
    key: UUID,
    request_hash: bytes,
    act: Callable[[], Awaitable[dict[str, Any]]],
) -> dict[str, Any]:
    """Do the action and remember its answer, or return the remembered answer.

    Args:
        work: the transaction in which the action is done.
        actor: who acts, as ``kind:uuid``; keys of different actors never meet.
        key: chosen by the client.
        request_hash: SHA-256 of the operation and its input.
        act: does the action in ``work`` and returns an answer that JSON can hold.

    Raises:
        Conflict: the actor used the key for another request.
    """
    row_id = work.new_id()
    taken = await work.session.scalar(
        insert(IdempotencyKey)
        .values(
            id=row_id,
            actor=actor,
            key=key,
            request_hash=request_hash,
            answer={},
            created_at=work.now,
        )
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.id)
    )
    if taken is None:
        return await _remembered(work, actor, key, request_hash)
    answer = await act()
    await work.session.execute(
        update(IdempotencyKey).where(IdempotencyKey.id == row_id).values(answer=answer)
    )
    return answer


async def _remembered(work: Work, actor: str, key: UUID, request_hash: bytes) -> dict[str, Any]:
    found = (
        await work.session.execute(
            select(IdempotencyKey.request_hash, IdempotencyKey.answer).where(
                IdempotencyKey.actor == actor, IdempotencyKey.key == key
            )
        )
    ).one()
    if found.request_hash != request_hash:
        raise Conflict("This idempotency key was already used for another request.")
    answer: dict[str, Any] = found.answer
    return answer


async def forget_old_keys(work: Work) -> int:
    """Delete keys older than a week and return how many there were."""
    gone = await work.session.scalars(
        delete(IdempotencyKey)
        .where(IdempotencyKey.created_at < work.now - KEPT_FOR)
        .returning(IdempotencyKey.id)
    )
    return len(gone.all())
