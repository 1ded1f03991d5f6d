"""Enrols a population in batches, so that a killed command goes on where it stopped.

Each batch is one transaction. After it, what belongs to it is written to the codes and the
rejects, and then how far it came, in a small file in the data folder. A batch whose end was not
written down is done again, which changes nothing in the database, and its lines are written over.
"""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import TypeVar

from carnet.cli.console import CONSOLE
from carnet.cli.population import Population, Reason, Reject, Row
from carnet.cli.progress import Progress
from carnet.cli.workspace import Workspace
from carnet.records.codes import enrolment_code
from carnet.records.enrolment import Enrolment, Parentage, ParentLink, enrol, link_parents
from carnet.records.tables import Record, RecordState
from carnet.store.database import Work

BATCH = 1000  # rows in one transaction
WAITING = (RecordState.NOTIFIED, RecordState.OPEN)  # their codes are of use

T = TypeVar("T")

_REFUSED = {
    Enrolment.CONFLICT: Reason.CONFLICT,
    Enrolment.UNUSABLE: Reason.NAME,
}
_UNLINKED = {
    ParentLink.UNKNOWN_PARENT: Reason.UNKNOWN_REPRESENTATIVE,
    ParentLink.OF_AGE: Reason.NOT_A_MINOR,
}


class Undone(Exception):
    """Takes a batch back: it was only tried."""


@dataclass
class Reached:
    """How far it came: rows of the first pass, then of the second, which links parents."""

    codes_path: str | None
    rejects_path: str | None
    rows: int = 0
    is_second_pass: bool = False
    codes_bytes: int = 0
    rejects_bytes: int = 0
    counts: dict[str, int] = field(default_factory=dict)


class Output:
    """A CSV file that only its owner may read, written so that it can be taken up again."""

    def __init__(self, path: Path, header: Sequence[str], size: int) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._file = os.fdopen(descriptor, "r+b")
        os.fchmod(descriptor, 0o600)
        self._header = header
        self.is_whole = os.fstat(descriptor).st_size >= size
        if size == 0 or not self.is_whole:
            self.empty()
        else:  # what came after the last batch that was noted is written again
            self._file.truncate(size)
            self._file.seek(size)

    def empty(self) -> None:
        """Leave only the header."""
        self._file.truncate(0)
        self._file.seek(0)
        self.write([self._header])

    def write(self, rows: Iterable[Sequence[str]]) -> None:
        """Add rows."""
        text = StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        self._file.write(text.getvalue().encode(errors="surrogateescape"))

    def settle(self) -> int:
        """Have it on the disk, and return how long it is."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Enroller:
    """One run of ``carnet enrol``."""

    def __init__(
        self,
        opened: Workspace,
        population: Population,
        *,
        codes: Path | None = None,
        rejects: Path | None = None,
        is_trial: bool = False,
        after_deletion: bool = False,
    ) -> None:
        self._opened = opened
        self._population = population
        self._is_trial = is_trial
        self._after_deletion = after_deletion
        self._state = opened.settings.data_dir / "enrolment" / f"{population.digest}.json"
        fresh = Reached(_absolute(codes), _absolute(rejects))
        self._reached = fresh if is_trial else self._remembered(fresh)
        self._outputs = ExitStack()
        self._codes = self._rejects = None
        if codes is not None:
            self._codes = Output(codes, ["ins", "code", "opens_on"], self._reached.codes_bytes)
            self._outputs.callback(self._codes.close)
        if rejects is not None:
            header = ["line", "reason", *population.header]
            self._rejects = Output(rejects, header, self._reached.rejects_bytes)
            self._outputs.callback(self._rejects.close)
        if any(output and not output.is_whole for output in (self._codes, self._rejects)):
            self._start_over()
        self.first_rejects: list[tuple[int, Reason]] = []

    @property
    def counts(self) -> Counter[str]:
        """How many rows had each outcome or reason."""
        return Counter(self._reached.counts)

    @property
    def resumed_at(self) -> int:
        """How many rows an earlier run did; 0 where there was none."""
        return self._reached.rows

    def forget(self) -> None:
        """Forget an earlier run."""
        self._state.unlink(missing_ok=True)

    async def run(self, progress: Progress) -> None:
        """Enrol all, then link parents to children, and forget how far it came."""
        with self._outputs:
            if not self._reached.is_second_pass:
                await self._pass(progress)
            if self._population.has_representatives and not self._is_trial:
                self._reached.is_second_pass = True
                await self._pass(progress)
        if not self._is_trial:
            self.forget()

    def _start_over(self) -> None:
        """Do all again, as what an earlier run wrote is not there any more."""
        self._reached = Reached(self._reached.codes_path, self._reached.rejects_path)
        for output in (self._codes, self._rejects):
            if output is not None:
                output.empty()

    async def _pass(self, progress: Progress) -> None:
        second = self._reached.is_second_pass
        done = self._reached.rows
        today = self._opened.database.clock.now().date()
        progress.step(done)
        for batch in _batches(self._population.rows(today, done), BATCH):
            counts: Counter[str] = Counter()
            try:
                async with self._opened.database.write() as work:
                    act = self._link if second else self._enrol
                    codes, rejects = await act(work, batch, counts)
                    if self._is_trial:
                        raise Undone
            except Undone:
                codes = []
            self._note(codes, rejects, counts, len(batch))
            progress.step(len(batch))
        self._reached.rows = 0

    def _note(
        self,
        codes: Sequence[Sequence[str]],
        rejects: Sequence[Reject],
        counts: Counter[str],
        rows: int,
    ) -> None:
        """Write down what a committed batch did, and last that it is done."""
        reached = self._reached
        for reject in rejects:
            counts[reject.reason.value] += 1
        room = max(20 - len(self.first_rejects), 0)
        self.first_rejects += [(reject.line, reject.reason) for reject in rejects[:room]]
        if self._codes is not None:
            self._codes.write(codes)
            reached.codes_bytes = self._codes.settle()
        if self._rejects is not None:
            self._rejects.write([str(r.line), r.reason.value, *r.cells] for r in rejects)
            reached.rejects_bytes = self._rejects.settle()
        reached.rows += rows
        reached.counts = dict(Counter(reached.counts) + counts)
        if not self._is_trial:
            self._remember()

    async def _enrol(
        self, work: Work, batch: Sequence[Row | Reject], counts: Counter[str]
    ) -> tuple[list[list[str]], list[Reject]]:
        rejects = [row for row in batch if isinstance(row, Reject)]
        rows = [row for row in batch if isinstance(row, Row)]
        claims = [row.claim for row in rows]
        enrolled = await enrol(CONSOLE, work, claims, after_deletion=self._after_deletion)
        codes = []
        for row, one in zip(rows, enrolled, strict=True):
            if one.record is None:
                rejects.append(Reject(row.line, _REFUSED[one.outcome], row.cells))
                continue
            counts[one.outcome.value] += 1
            counts["WRONG_KEY"] += one.has_invalid_key
            if one.record.state in WAITING:
                codes.append(self._code(row, one.record))
        return codes, sorted(rejects, key=lambda reject: reject.line)

    def _code(self, row: Row, record: Record) -> list[str]:
        key, issue = self._opened.server_key, record.enrolment_code_issue
        is_waiting = record.state is RecordState.NOTIFIED and record.opens_at is not None
        opens_on = f"{record.opens_at:%Y-%m-%d}" if is_waiting else ""
        return [row.claim.identifiers[0].value, enrolment_code(key, record.id, issue), opens_on]

    async def _link(
        self, work: Work, batch: Sequence[Row | Reject], counts: Counter[str]
    ) -> tuple[list[list[str]], list[Reject]]:
        asked = [
            (row, Parentage(row.claim.identifiers[0], parent))
            for row in batch
            if isinstance(row, Row)
            for parent in row.parents
        ]
        if not asked:
            return [], []
        rejects = []
        linked = await link_parents(CONSOLE, work, [parentage for _, parentage in asked])
        for (row, _), outcome in zip(asked, linked, strict=True):
            counts["PARENT"] += outcome is ParentLink.LINKED
            if outcome in _UNLINKED:
                rejects.append(Reject(row.line, _UNLINKED[outcome], row.cells))
        return [], rejects

    def _remembered(self, fresh: Reached) -> Reached:
        """Return how far an earlier run with the same outputs came."""
        try:
            known = Reached(**json.loads(self._state.read_text()))
        except (OSError, ValueError, TypeError):
            return fresh
        outputs = (fresh.codes_path, fresh.rejects_path)
        return known if (known.codes_path, known.rejects_path) == outputs else fresh

    def _remember(self) -> None:
        self._state.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self._state.with_suffix(".new")
        draft.write_text(json.dumps(asdict(self._reached)))
        draft.replace(self._state)


def _batches(rows: Iterator[T], size: int) -> Iterator[list[T]]:
    while batch := list(islice(rows, size)):
        yield batch


def _absolute(path: Path | None) -> str | None:
    return str(path.absolute()) if path else None
