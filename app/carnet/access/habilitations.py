"""The habilitation matrix: what a profession may do with a type of document, as data.

A sample ships with the project and is in every new database until `load` replaces it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, insert

from carnet.access.tables import Habilitation, HabilitationLevel
from carnet.errors import UserMistake
from carnet.people.actor import Actor, require_operator
from carnet.store.database import Work

SAMPLE = Path(__file__).parent / "data" / "habilitations.tsv"
SAMPLE_SOURCE = "SAMPLE"
COLUMNS = ("profession", "type", "level")
ROWS_LIMIT = 100_000
FILE_LIMIT = 16 * 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the matrix."""

    profession_code: str
    type_code: str
    level: HabilitationLevel


def read_matrix(path: Path) -> list[Cell]:
    """Read a matrix: a table in TSV or CSV with the columns profession, type and level.

    Levels are NONE, READ and READ_WRITE; lines that begin with ``#`` are comments.

    Raises:
        UserMistake: the file cannot be read, or a line is wrong; the message names the line.
    """
    try:
        with path.open("rb") as file:
            data = file.read(FILE_LIMIT + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise UserMistake(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UserMistake(f"{path} is not UTF-8.") from None
    if len(data) > FILE_LIMIT:
        raise UserMistake(f"{path} is larger than {FILE_LIMIT // 2**20} MiB.")
    cells: dict[tuple[str, str], Cell] = {}
    for number, row in _rows(text, path):
        cell = _cell(row, number, path)
        key = cell.profession_code, cell.type_code
        if key in cells:
            raise UserMistake(f"{path}, line {number}: this profession and type stand twice.")
        cells[key] = cell
        if len(cells) > ROWS_LIMIT:
            raise UserMistake(f"{path} has more than {ROWS_LIMIT} lines.")
    if not cells:
        raise UserMistake(f"{path} holds no line of a matrix.")
    return list(cells.values())


def _rows(text: str, path: Path) -> Iterator[tuple[int, dict[str, str | None]]]:
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.startswith("#")
    ]
    if not lines:
        return
    header = lines[0][1]
    delimiter = max("\t;,", key=header.count)
    names = [name.strip().lower() for name in header.split(delimiter)]
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise UserMistake(f"{path} lacks the column {missing[0]}.")
    for number, line in lines[1:]:
        values = next(csv.reader(io.StringIO(line), delimiter=delimiter))
        yield number, dict(zip(names, (value.strip() for value in values), strict=False))


def _cell(row: dict[str, str | None], number: int, path: Path) -> Cell:
    profession, type_code, level = (row.get(name) or "" for name in COLUMNS)
    if not profession or not type_code:
        raise UserMistake(f"{path}, line {number}: profession and type are needed.")
    if level not in HabilitationLevel.__members__:
        raise UserMistake(f"{path}, line {number}: level is NONE, READ or READ_WRITE.")
    return Cell(profession, type_code, HabilitationLevel(level))


async def load_matrix(actor: Actor, work: Work, cells: Iterable[Cell], source: str) -> int:
    """Put a matrix in the place of the one that stands, and return its number of cells.

    Raises:
        AccessDenied: the actor is no operator.
    """
    require_operator(actor)
    rows = [
        {
            "profession_code": cell.profession_code,
            "type_code": cell.type_code,
            "level": cell.level,
            "source": source,
        }
        for cell in cells
    ]
    await work.session.execute(delete(Habilitation))
    await work.session.execute(insert(Habilitation), rows)
    return len(rows)
