"""``carnet migrate``: brings the database to this version."""

from __future__ import annotations

import click

from carnet.cli.faults import wait_for

EXAMPLE = """\
\b
Example:
  CARNET_MIGRATION_URL=postgresql://owner@db/carnet carnet migrate
"""


@click.command(epilog=EXAMPLE)
@click.option("--check", is_flag=True, help="Change nothing; fail when something is to be done.")
def migrate(check: bool) -> int:
    """Bring the database to the schema of this version.

    Runs as the owner of the database (CARNET_MIGRATION_URL, or else CARNET_DATABASE_URL). The
    embedded PostgreSQL is brought up to date at every start; this is for one of your own. A table
    that is in use is waited for a few seconds, several times, so that nobody waits behind it.
    """
    return wait_for(_migrate(is_check=check))


async def _migrate(*, is_check: bool) -> int:
    from carnet.cli.workspace import owner_url
    from carnet.settings import Settings
    from carnet.store.migrate import pending, upgrade

    settings = Settings.from_env()
    is_embedded = settings.database_url is None
    with owner_url(settings) as owner:
        if is_check:
            behind = await pending(owner)
            click.echo("Migrations are to be run." if behind else "The database is up to date.")
            return int(behind)
        await upgrade(owner, create=is_embedded, told=click.echo)
    click.echo("The database is up to date.")
    return 0
