"""The root of all commands; each is loaded from its module when it is asked for."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import click

from carnet.cli.faults import installed_version, tell
from carnet.cli.names import unknown_names

COMMANDS = {
    "demo": "carnet.cli.serve:demo",
    "serve": "carnet.cli.serve:serve",
    "migrate": "carnet.cli.migrate:migrate",
    "check": "carnet.cli.check:check",
    "intake": "carnet.cli.intake:intake",
    "token": "carnet.cli.token:token",
    "account": "carnet.cli.accounts:account",
    "organization": "carnet.cli.directory:organization",
    "professional": "carnet.cli.directory:professional",
    "publisher": "carnet.cli.publishers:publisher",
    "enrol": "carnet.cli.enrol:enrol",
    "record": "carnet.cli.record:record",
    "sandbox": "carnet.cli.sandbox:sandbox",
    "habilitation": "carnet.cli.habilitation:habilitation",
    "journal": "carnet.cli.journal:journal",
    "backup": "carnet.cli.backup:backup",
    "restore": "carnet.cli.restore:restore",
    "notifications": "carnet.cli.notifications:notifications",
    "schema": "carnet.cli.schema:schema",
    "operations": "carnet.cli.operations:operations",
    "statistics": "carnet.cli.statistics:statistics",
    "sweep": "carnet.cli.sweep:sweep",
    "terminology": "carnet.cli.terminology:terminology",
    "calendar": "carnet.cli.calendar:calendar",
}
"""Where each command lives, in the order of ``carnet --help``."""

EPILOG = """\
\b
Settings (environment variables), with their [defaults]:
  CARNET_PORT                     port to serve on [8000]
  CARNET_HOST                     address to serve on [127.0.0.1]
  CARNET_WORKERS                  processes that carnet serve serves with [1]
  CARNET_DATA_DIR                 folder of the database, documents and keys [.carnet]
  CARNET_DATABASE_URL             a PostgreSQL of your own; unset: one is started for you
  CARNET_MIGRATION_URL            its owner, for carnet migrate; unset: CARNET_DATABASE_URL
  CARNET_BROADCAST_URL            where processes wake each other: redis://…; unset: the database
  CARNET_BLOB_URL                 where documents are kept, s3://bucket; unset: the data folder
  CARNET_MODE                     development or production [development]
  CARNET_KEK_FILE                 key file that encrypts documents; unset: one in the data folder
  CARNET_LOG_KEY_FILE             key file that signs the journal; unset: one in the data folder
  CARNET_DIRECTORY_ORIGIN         name of the directory of messaging keys [carnet/directory]
  CARNET_TRUST_LIST_FILE          who is trusted to certify vaccinations, JSON; unset: nobody
  CARNET_OIDC_FILE                trusted identity providers, TOML
  CARNET_PASSWORD_SIGN_IN         1 lets Carnet keep passwords itself in production
  CARNET_ALLOWED_HOSTS            names that this server answers to; unset: CARNET_PUBLIC_URL's
  CARNET_ALLOWED_ORIGINS          origins of web pages that may speak to it, beside its own
  CARNET_INTROSPECTION            1 lets clients ask for the schema in production
  CARNET_TRUSTED_DOCUMENTS        registries of operations, JSON, separated by a colon
  CARNET_TRUSTED_DOCUMENTS_ONLY   1 refuses people every other operation
  CARNET_QUERY_COST_LIMIT         what one operation may cost [10000]
  CARNET_QUERY_BUDGET             what a viewer may spend at once [100000]
  CARNET_QUERY_BUDGET_PER_SECOND  what comes back of it [5000]
  CARNET_CONNECTIONS_PER_ADDRESS  connections of one address that is no proxy [2 × sockets]
  CARNET_SOCKETS_PER_ADDRESS      open sockets and event streams of one address [1000]
  CARNET_SOCKETS_PER_USER         the same of one user [32]
  CARNET_TRUSTED_PROXIES          addresses or networks whose X-Forwarded-For is believed
  CARNET_SMTP_URL                 mail server, smtps://user:password@host; unset: no e-mail
  CARNET_MAIL_FROM                the address that e-mails come from
  CARNET_PUBLIC_URL               of the app, in what is sent; unset in development: this server
  CARNET_VAPID_KEY_FILE           key file for Web Push; unset: one in the data folder, or off
  CARNET_PUSH_HOSTS               push services that browsers may name; unset: the usual ones
  CARNET_PUSH_PRIVATE             1 lets push services be on private addresses, in development
  CARNET_PUBLISHER_SECRET         the credential that carnet intake sends
  CARNET_UPLOAD_LIMIT_BYTES, CARNET_INTAKE_LIMIT_BYTES, CARNET_REQUEST_LIMIT_BYTES
                                  largest upload, submission and GraphQL body
  CARNET_METRICS_PORT             give metrics to Prometheus on this port; unset: do not
  CARNET_METRICS_HOST             address to do so on [127.0.0.1]
  CARNET_TRACES_URL               who takes traces, http://127.0.0.1:4318/v1/traces; unset: nobody
  CARNET_DEBUG                    1 shows the traceback of an error

\b
Start here:
  carnet demo                     serve a sandbox with people, records and documents
  carnet intake reports/          feed medical files into it
"""


class Lazy(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of that name."""
        where = COMMANDS.get(cmd_name)
        if where is None:
            return None
        module, _, name = where.partition(":")
        command: Any = getattr(import_module(module), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{where} is no command")
        return command


@click.group(
    cls=Lazy,
    epilog=EPILOG,
    no_args_is_help=True,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "show_default": True,
        "max_content_width": 100,
    },
)
@click.version_option(installed_version(), prog_name="carnet")
@click.pass_context
def carnet(context: click.Context) -> None:
    """Run Carnet, an open digital health record server, and look after it."""
    command, mode = context.invoked_subcommand, os.environ.get("CARNET_MODE")
    if command != "check" and (command, mode) != ("serve", "production"):  # they are findings there
        for sentence in unknown_names(os.environ):
            tell(sentence)
