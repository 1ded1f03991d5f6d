"""``carnet intake``: feeds files and folders, through the same ``POST /intake`` as publishers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from carnet.cli.faults import FAILED, wait_for
from carnet.errors import UserMistake

if TYPE_CHECKING:
    from carnet.settings import Settings
    from carnet_client.publisher import PublisherClient

LOOK_TIMEOUT = 2.0  # seconds: is a server running here?
EXAMPLES = """\
\b
Examples:
  carnet intake report.xml
  carnet intake ../hospital/exports --verbose
  carnet intake --server https://records.example --credential SECRET exports
"""


@click.command(epilog=EXAMPLES)
@click.argument(
    "paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="PATH…"
)
@click.option(
    "--server",
    metavar="URL",
    help="Send to this server. Default: the one that runs here, or else straight into the data "
    "folder.",
)
@click.option(
    "--credential",
    metavar="SECRET",
    envvar="CARNET_PUBLISHER_SECRET",
    show_envvar=True,
    help="The publisher's secret. Default: the sandbox's laboratory.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show what became of each item.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON for each file.")
def intake(
    paths: tuple[Path, ...],
    server: str | None,
    credential: str | None,
    verbose: bool,
    as_json: bool,
) -> int:
    """Feed medical files and folders of them.

    Formats: FHIR R4 JSON, CDA R2, and HL7 v2 messages that carry documents.

    Sending the same files again changes nothing. Their order does not matter: what names a
    patient or document that comes in another file is sent again at the end.
    """
    from carnet.cli.deliveries import Delivery
    from carnet.cli.printing import Printer
    from carnet.settings import Settings
    from carnet_client.publisher import Unreachable

    printer = Printer(is_verbose=verbose, is_json=as_json)
    delivery = Delivery.of(paths, printer.tell)

    async def deliver() -> None:
        try:
            async with way_in(Settings.from_env(), server, credential) as client:
                await delivery.send(client)
        except Unreachable as error:
            raise UserMistake(str(error)) from error

    wait_for(deliver())
    printer.total(delivery)
    return FAILED if delivery.has_failures else 0


@asynccontextmanager
async def way_in(
    settings: Settings, server: str | None, credential: str | None
) -> AsyncIterator[PublisherClient]:
    """Yield a client of the named server, of the one that runs here, or of one in this process.

    Raises:
        UserMistake: there is no credential, or the database is out of reach.
        Unreachable: the server's address is none.
    """
    import httpx

    from carnet_client.publisher import PublisherClient

    here = local_server(settings)
    if server is not None:
        async with PublisherClient(server, _credential(settings, credential)) as client:
            yield client
    elif await _is_running(here):
        transport = httpx.AsyncHTTPTransport()  # this machine is not reached through a proxy
        secret = _credential(settings, credential)
        async with PublisherClient(here, secret, transport=transport) as client:
            yield client
    else:
        from carnet.cli.application import application
        from carnet.cli.workspace import workspace

        secret = _credential(settings, credential)
        async with (
            workspace(settings, tells_new=True) as opened,
            application(opened) as app,
        ):
            inside = httpx.ASGITransport(app)
            async with PublisherClient("http://localhost", secret, transport=inside) as client:
                yield client


def local_server(settings: Settings) -> str:
    """Return the address at which a server with these settings answers on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 — compared, not listened on
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


async def _is_running(address: str) -> bool:
    """Tell whether Carnet, and not some other server, answers there."""
    import httpx

    try:
        async with httpx.AsyncClient(trust_env=False, timeout=LOOK_TIMEOUT) as client:
            answer = await client.get(f"{address}/health/live")
            return answer.is_success and answer.json() == {"status": "live"}
    except (httpx.HTTPError, ValueError):
        return False


def _credential(settings: Settings, given: str | None) -> str:
    from carnet.cli.filling import LABORATORY, secrets_of

    secret = given or secrets_of(settings).get(LABORATORY)
    if not secret:
        raise UserMistake(
            "Say who sends: --credential or CARNET_PUBLISHER_SECRET,"
            " as `carnet publisher add` printed it."
        )
    return secret
