"""The root of all commands; each is loaded from its module when it is asked for."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

COMMANDS = {
    "login": "carnet_client.cli.signing:login",
    "logout": "carnet_client.cli.signing:logout",
    "enrol": "carnet_client.cli.enrolling:enrol",
    "recover": "carnet_client.cli.enrolling:recover",
    "pair": "carnet_client.cli.devices:pair",
    "devices": "carnet_client.cli.devices:devices",
    "people": "carnet_client.cli.people:people",
    "verify": "carnet_client.cli.people:verify",
    "threads": "carnet_client.cli.threads:threads",
    "open": "carnet_client.cli.threads:open_",
    "read": "carnet_client.cli.threads:read",
    "send": "carnet_client.cli.threads:send",
    "follow": "carnet_client.cli.threads:follow",
    "attach": "carnet_client.cli.files:attach",
    "save": "carnet_client.cli.files:save",
    "edit": "carnet_client.cli.changes:edit",
    "retract": "carnet_client.cli.changes:retract",
    "acknowledge": "carnet_client.cli.changes:acknowledge",
    "members": "carnet_client.cli.changes:members",
    "chat": "carnet_client.cli.chat:chat",
    "operations": "carnet_client.cli.registry:operations",
}
"""Where each command lives, in the order of ``carnet-client --help``."""

EPILOG = """\
\b
Settings (environment variables):
  CARNET_CLIENT_HOME        folder of the profile; ~/.carnet-client
  CARNET_CLIENT_PASSPHRASE  passphrase of the profile, for scripts; unset: you are asked
  CARNET_CLIENT_PASSWORD    password of login, for scripts; unset: you are asked
  CARNET_DEBUG              1 shows the traceback of an error

\b
Start here:
  carnet-client login https://records.example --login camille@example.org
  carnet-client enrol          make this your first device; write the recovery code down
  carnet-client chat           read and write

\b
In scripts:
  carnet-client open FAURE                  begin a conversation; prints its id
  carnet-client send THREAD "Bonjour"       THREAD: its id, or the beginning of it
  carnet-client attach THREAD scan.pdf      send a file of any size
  carnet-client follow                      print what happens, one line each

A profile is one device of one person. Only one command at a time uses it.
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
@click.option(
    "--profile",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Folder of the keys; default: CARNET_CLIENT_HOME, or ~/.carnet-client.",
)
@click.version_option(version("carnet"), prog_name="carnet-client")
def client(profile: Path | None) -> None:
    """Write to your doctor, or your patients, so that nobody else can read it.

    Messages and files are sealed on this machine for the people of a conversation. The server
    orders and keeps what it cannot open.
    """
