"""Whatever is done to the journal's rows behind the server's back is found."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest
import world
from sqlalchemy import URL, select, text
from sqlalchemy.exc import DBAPIError

from carnet.access import sealing
from carnet.access.journal import Fact, JournalAction, ObjectKind, write
from carnet.access.journal_tables import JournalEntry, JournalLeaf
from carnet.access.sealing import LOG, leaf_bytes, seal
from carnet.access.verifying import Problem, Verification, verify
from carnet.clock import MovableClock
from carnet.store import transparency
from carnet.store.database import Database
from carnet.store.signing import Signer
from carnet.store.transparency import Frontier
from carnet_crypto.merkle import leaf_hash, verify_consistency, verify_inclusion
from carnet_crypto.signatures import SignatureFailed, verify_head
from carnet_crypto.treehead import TreeHead

SIGNER = Signer([b"s" * 32])
RECORDS = [UUID(int=n) for n in range(1, 4)]


@pytest.fixture
async def owner(owner_url: URL) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(
        host=owner_url.query["host"], user=owner_url.username, database=owner_url.database
    )
    yield connection
    await connection.close()


async def note(database: Database, count: int, *, held: bool = False) -> None:
    patient = world.a_patient()
    for n in range(count):
        async with database.write() as work:
            fact = Fact(
                RECORDS[n % 3],
                JournalAction.READ_DOCUMENT,
                "holder",
                ObjectKind.DOCUMENT,
                (uuid4(),),
                is_held=held,
                details={"part": "0", "é": "ü"},
            )
            await write(patient, work, [fact])


async def seal_all(database: Database, limit: int = 7) -> None:
    while await seal(database, SIGNER, limit):
        pass


@pytest.fixture
async def journal(database: Database) -> Database:
    """23 entries, sealed in several batches, and two that wait."""
    await note(database, 17)
    await note(database, 6, held=True)
    await seal_all(database)
    await note(database, 2)
    return database


async def test_an_untouched_journal_is_whole(journal: Database) -> None:
    told: list[tuple[int, int]] = []
    found = await verify(journal, SIGNER, told=lambda done, all_: told.append((done, all_)))
    assert found.is_whole, found.findings
    assert (found.entries, found.size, found.waiting) == (23, 23, 2)
    assert told == [(23, 23)]
    await seal_all(journal)
    assert (await verify(journal, SIGNER)).entries == 25


async def test_an_empty_journal_is_whole(database: Database) -> None:
    found = await verify(database, SIGNER)
    assert found.is_whole and found.size == 0


Tamper = Callable[[asyncpg.Connection], Awaitable[object]]

LEAF = "(SELECT entry_id FROM journal_leaves WHERE index = {})"
TAMPERINGS: dict[str, tuple[Problem, list[str]]] = {
    "another rule": (
        Problem.ENTRY_CHANGED,
        [f"UPDATE journal_entries SET rule = 'holder.x' WHERE id = {LEAF.format(5)}"],
    ),
    "another time": (
        Problem.ENTRY_CHANGED,
        [
            "UPDATE journal_entries SET at = at + interval '1 microsecond'"
            f" WHERE id = {LEAF.format(0)}"
        ],
    ),
    "another actor": (
        Problem.ENTRY_CHANGED,
        [f"UPDATE journal_entries SET actor_id = gen_random_uuid() WHERE id = {LEAF.format(22)}"],
    ),
    "another detail": (
        Problem.ENTRY_CHANGED,
        [f"UPDATE journal_entries SET details = '{{}}' WHERE id = {LEAF.format(3)}"],
    ),
    "an entry removed": (
        Problem.ENTRY_MISSING,
        [f"DELETE FROM journal_entries WHERE id = {LEAF.format(9)}"],
    ),
    "an entry and its leaf removed": (
        Problem.LEAF_MISSING,
        [
            f"DELETE FROM journal_entries WHERE id = {LEAF.format(9)}",
            "DELETE FROM journal_leaves WHERE index = 9",
        ],
    ),
    "two leaves swapped": (
        Problem.ENTRY_CHANGED,
        [
            "CREATE TEMP TABLE two AS SELECT * FROM journal_leaves WHERE index IN (4, 8)",
            "DELETE FROM journal_leaves WHERE index IN (4, 8)",
            "INSERT INTO journal_leaves (index, entry_id) SELECT 12 - index, entry_id FROM two",
        ],
    ),
    "two numbers swapped": (
        Problem.ENTRY_CHANGED,
        [
            "UPDATE journal_entries SET number = 1000"
            " WHERE number = 1 AND chain = 'MAIN' AND record_id ="
            " '00000000-0000-0000-0000-000000000001'",
            "UPDATE journal_entries SET number = 1"
            " WHERE number = 2 AND chain = 'MAIN' AND record_id ="
            " '00000000-0000-0000-0000-000000000001'",
            "UPDATE journal_entries SET number = 2 WHERE number = 1000",
        ],
    ),
    "the last entries cut off": (
        Problem.ENTRY_MISSING,
        [
            "DELETE FROM journal_entries WHERE id IN"
            " (SELECT entry_id FROM journal_leaves WHERE index >= 20)"
        ],
    ),
    "the last entries, leaves and nodes cut off": (
        Problem.LOG_TRUNCATED,
        [
            "DELETE FROM journal_entries WHERE id IN"
            " (SELECT entry_id FROM journal_leaves WHERE index >= 21)",
            "DELETE FROM journal_leaves WHERE index >= 21",
            "DELETE FROM log_nodes WHERE (index + 1) << level > 21",
        ],
    ),
    "everything truncated but the heads": (
        Problem.LOG_TRUNCATED,
        [
            "TRUNCATE journal_entries",
            "TRUNCATE journal_leaves",
            "TRUNCATE log_nodes",
            "TRUNCATE journal_unsealed",
        ],
    ),
    "an inner node changed": (
        Problem.NODE_CHANGED,
        ["UPDATE log_nodes SET hash = sha256('x') WHERE level = 2 AND index = 1"],
    ),
    "a leaf's hash changed": (
        Problem.ENTRY_CHANGED,
        ["UPDATE log_nodes SET hash = sha256('x') WHERE level = 0 AND index = 6"],
    ),
    "a leaf's hash removed": (
        Problem.NODE_CHANGED,
        ["DELETE FROM log_nodes WHERE level = 0 AND index = 6"],
    ),
    "a head forged": (
        Problem.HEAD_UNSIGNED,
        ["UPDATE tree_heads SET signed_at = signed_at - interval '1 day' WHERE size = 14"],
    ),
    "a head of something else": (
        Problem.HEAD_WRONG,
        ["UPDATE tree_heads SET root = sha256('x') WHERE size = 21"],
    ),
    "an entry slipped in": (
        Problem.NEVER_SEALED,
        [
            "INSERT INTO journal_entries SELECT gen_random_uuid(), gen_random_uuid(), chain,"
            " 1, at, actor_kind, actor_id, on_behalf_of, action, object_kind, object_ids, rule,"
            " is_emergency, details, text_digest FROM journal_entries LIMIT 1"
        ],
    ),
    "one that waits removed": (
        Problem.COUNTER_WRONG,
        [
            "DELETE FROM journal_entries WHERE id = (SELECT entry_id FROM journal_unsealed LIMIT 1)",
        ],
    ),
    "one that waits kept from the log": (
        Problem.NEVER_SEALED,
        ["DELETE FROM journal_unsealed"],
    ),
    "the last head removed": (
        Problem.HEAD_MISSING,
        ["DELETE FROM tree_heads WHERE size = 23"],
    ),
    "all heads removed": (
        Problem.HEAD_MISSING,
        ["DELETE FROM tree_heads"],
    ),
    "a node planted where the log will grow": (
        Problem.NODE_EXTRA,
        ["INSERT INTO log_nodes VALUES ('journal', 4, 1, sha256('x'))"],
    ),
    "a leaf before the first": (
        Problem.LEAF_MISPLACED,
        ["INSERT INTO journal_leaves VALUES (-1, gen_random_uuid())"],
    ),
    "a leaf far behind the last": (
        Problem.LEAF_MISSING,
        ["INSERT INTO journal_leaves VALUES (1000000000000, gen_random_uuid())"],
    ),
    "one that waits removed, and its number taken back": (
        Problem.ENTRY_MISSING,
        [
            "UPDATE journal_counters SET last_main = last_main - 1 WHERE record_id = (SELECT"
            " record_id FROM journal_entries JOIN journal_unsealed ON id = entry_id"
            " ORDER BY id LIMIT 1)",
            "DELETE FROM journal_entries WHERE id ="
            " (SELECT min(entry_id::text)::uuid FROM journal_unsealed)",
        ],
    ),
    "the counters removed": (
        Problem.COUNTER_WRONG,
        ["DELETE FROM journal_counters"],
    ),
    "a record's entries removed from the middle": (
        Problem.NUMBER_GAP,
        ["DELETE FROM journal_entries WHERE number = 1 AND chain = 'HELD'"],
    ),
}


@pytest.mark.parametrize("name", TAMPERINGS)
async def test_tampering_is_found(journal: Database, owner: asyncpg.Connection, name: str) -> None:
    problem, statements = TAMPERINGS[name]
    for statement in statements:
        await owner.execute(statement)
    found = await verify(journal, SIGNER)
    assert not found.is_whole
    assert problem in {finding.problem for finding in found.findings}, found.findings


async def test_a_journal_made_anew_is_found_by_a_head_kept_elsewhere(
    journal: Database, owner: asyncpg.Connection
) -> None:
    """Whoever has the database and the key can make another journal; not the one that was."""
    async with journal.read() as work:
        kept = await transparency.latest_head(work, LOG)
    assert kept is not None
    for table in (
        "journal_entries",
        "journal_leaves",
        "log_nodes",
        "tree_heads",
        "journal_unsealed",
        "journal_counters",
    ):
        await owner.execute(f"TRUNCATE {table}")
    await note(journal, 12)
    await seal_all(journal)
    assert (await verify(journal, SIGNER)).is_whole
    assert problems(await verify(journal, SIGNER, kept)) == {Problem.LOG_TRUNCATED}
    await note(journal, 12)
    await seal_all(journal, 1)
    assert problems(await verify(journal, SIGNER, kept)) == {Problem.NOT_EXTENDED}


async def test_a_journal_rewritten_without_the_key_is_found(
    journal: Database, owner: asyncpg.Connection
) -> None:
    """Whoever has the database and not the key makes the whole tree fit, and drops the heads."""
    await owner.execute(f"UPDATE journal_entries SET rule = 'holder.x' WHERE id = {LEAF.format(5)}")
    async with journal.read() as work:
        in_order = select(JournalEntry).join(JournalLeaf, JournalLeaf.entry_id == JournalEntry.id)
        rows = await work.session.scalars(in_order.order_by(JournalLeaf.index))
        frontier = Frontier(0, [])
        nodes = [node for row in rows for node in frontier.add(leaf_hash(leaf_bytes(row)))]
    await owner.executemany("UPDATE log_nodes SET hash = $3 WHERE level = $1 AND index = $2", nodes)
    assert problems(await verify(journal, SIGNER)) == {Problem.HEAD_WRONG}
    await owner.execute("DELETE FROM tree_heads")
    assert problems(await verify(journal, SIGNER)) == {Problem.HEAD_MISSING}


async def test_what_waits_is_late_only_when_the_service_went_on(
    journal: Database, clock: MovableClock
) -> None:
    clock.offset = timedelta(days=30)  # nobody served meanwhile
    assert (await verify(journal, SIGNER)).is_whole
    await note(journal, 1)
    found = await verify(journal, SIGNER)
    assert [finding.problem for finding in found.findings] == [Problem.SEALED_LATE] * 2
    await seal_all(journal)
    assert (await verify(journal, SIGNER)).is_whole


async def test_an_entry_in_the_queue_twice_does_not_stop_the_others(
    journal: Database, owner: asyncpg.Connection
) -> None:
    await owner.execute(f"INSERT INTO journal_unsealed SELECT {LEAF.format(3)}")
    await seal_all(journal)
    found = await verify(journal, SIGNER)
    assert found.is_whole and (found.entries, found.waiting) == (25, 0)


async def test_sealing_goes_on_a_second_after_it_failed(
    journal: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    signer = Signer([b"s" * 32])

    def broken(*_: object) -> TreeHead:
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(signer, "sign", broken)
        again_at = await sealing.run(journal, signer, {})
    assert again_at - journal.clock.now() <= sealing.INTERVAL
    assert caplog.messages == ["the journal was not sealed: OSError"]
    assert (await verify(journal, SIGNER)).waiting == 2
    await sealing.run(journal, signer, {})
    assert (await verify(journal, SIGNER)).waiting == 0


async def test_any_number_of_proofs_is_one_statement(database: Database) -> None:
    """A parameter for each node would be more than PostgreSQL takes: 32,767."""
    size = 40_000
    async with database.write() as work:
        assert await transparency.lock(work, LOG)
        leaves = [leaf_hash(n.to_bytes(4, "big")) for n in range(size)]
        head = await transparency.append(work, LOG, leaves, SIGNER)
    async with database.read() as work:
        indexes = range(0, size, 20)
        proofs = await transparency.inclusion_proofs(work, LOG, indexes, size)
    for index in indexes:
        verify_inclusion(leaves[index], index, size, proofs[index], head.root)


def problems(found: Verification) -> set[Problem]:
    return {finding.problem for finding in found.findings}


async def test_the_servers_role_adds_and_does_nothing_else(journal: Database) -> None:
    for table in ("journal_entries", "journal_leaves", "log_nodes", "tree_heads"):
        for statement in (f"DELETE FROM {table}", f"TRUNCATE {table}"):
            with pytest.raises(DBAPIError, match="permission denied"):
                async with journal.write() as work:
                    await work.session.execute(text(statement))
    for statement in (
        "UPDATE journal_entries SET rule = ''",
        "UPDATE journal_leaves SET index = 99",
        "UPDATE log_nodes SET hash = ''",
        "UPDATE tree_heads SET size = 99",
        "ALTER TABLE journal_entries DISABLE TRIGGER ALL",
    ):
        with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
            async with journal.write() as work:
                await work.session.execute(text(statement))
    assert (await verify(journal, SIGNER)).is_whole


async def test_every_proof_holds_against_the_signed_head(journal: Database) -> None:
    async with journal.read() as work:
        head = await transparency.latest_head(work, LOG)
        assert head is not None
        verify_head(head, SIGNER.public_key)
        proofs = await transparency.inclusion_proofs(work, LOG, range(head.size), head.size)
        nodes = await transparency.leaf_hashes(work, LOG, range(head.size))
        for index in range(head.size):
            verify_inclusion(nodes[index], index, head.size, proofs[index], head.root)
        for old in (7, 14, 21):
            older = await transparency.head_at(work, LOG, old)
            assert older is not None
            proof = await transparency.consistency_proof(work, LOG, old, head.size)
            verify_consistency(old, older.root, head.size, head.root, proof)


async def test_a_head_of_another_key_or_time_is_refused() -> None:
    head = SIGNER.sign(LOG, 3, b"r" * 32, MovableClock().now())
    verify_head(head, SIGNER.public_key)
    later = TreeHead(
        LOG, 3, head.root, head.signed_at + timedelta(seconds=1), head.key_id, head.signature
    )
    for wrong, key in ((later, SIGNER.public_key), (head, Signer([b"t" * 32]).public_key)):
        with pytest.raises(SignatureFailed):
            verify_head(wrong, key)


async def test_the_job_seals_all_that_waits(journal: Database) -> None:
    again_at = await sealing.run(journal, SIGNER, {})
    assert again_at > journal.clock.now()
    assert (await verify(journal, SIGNER)).waiting == 0
