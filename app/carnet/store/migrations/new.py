"""Write the next revision from the difference between the tables and the migrations.

    python -m carnet.store.migrations.new "what changed"
    python -m carnet.store.migrations.new --redo "foundation"

``--redo`` first deletes the newest revision: for one that no database but yours has seen.
Read what was written before you commit it: Alembic sees neither renames nor changed checks.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from carnet.store import migrate
from carnet.store.database import asyncpg_url
from carnet.store.embedded import EmbeddedPostgres

VERSIONS = Path(__file__).parent / "versions"


def main() -> None:
    """Read the command line and write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("message", help="a few words, which name the file")
    parser.add_argument("--redo", action="store_true", help="rewrite the newest revision")
    arguments = parser.parse_args()
    VERSIONS.mkdir(exist_ok=True)
    if arguments.redo:
        for newest in sorted(VERSIONS.glob("[0-9]*.py"))[-1:]:
            newest.unlink()
    with (
        tempfile.TemporaryDirectory(prefix="carnet-") as folder,
        EmbeddedPostgres.start(Path(folder) / "data", {"fsync": "off"}) as postgres,
    ):
        written = asyncio.run(_write(postgres, arguments.message))
    lines = written.read_text().splitlines(keepends=True)
    written.write_text("".join(line for line in lines if "# ### " not in line))
    for verb in (["format", "--quiet"], ["check", "--quiet", "--fix"]):
        subprocess.run([sys.executable, "-m", "ruff", *verb, written], check=True)  # noqa: S603 — our own arguments
    print(written.relative_to(Path.cwd()) if written.is_relative_to(Path.cwd()) else written)  # noqa: T201 — a command's answer


async def _write(postgres: EmbeddedPostgres, message: str) -> Path:
    await migrate.upgrade(postgres.owner_url, create=True)
    engine = create_async_engine(asyncpg_url(postgres.owner_url))
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_autogenerate, message)
    finally:
        await engine.dispose()


def _autogenerate(connection: Connection, message: str) -> Path:
    config = migrate.config(connection)
    number = len(list(ScriptDirectory.from_config(config).walk_revisions())) + 1
    slug = re.sub(r"[^a-z0-9]+", "_", message.lower()).strip("_")
    config.set_main_option("file_template", f"%%(rev)s_{slug}")
    made = command.revision(config, message, autogenerate=True, rev_id=f"{number:04}")
    if made is None or isinstance(made, list):
        raise RuntimeError("alembic wrote no single revision")
    return Path(made.path)


if __name__ == "__main__":
    main()
