"""What ``carnet demo`` prints when it serves: how to sign in, and three queries to try."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from carnet.sandbox.personas import HANDLES
from carnet.sandbox.population import PASSWORD
from carnet.sandbox.relations import login_of
from carnet.settings import Settings

FIRST = "camille"  # the persona to begin with
DOCTOR = "bernard"  # who looks after her
QUERIES = {
    "Her record": """\
{ viewer { ... on Patient {
    givenNames birthDate
    record { state profile {
      conditions { edges { node { label status startedOn } } }
      measurements(first: 5) { edges { node { label value unit startedOn } } }
    } } } } }""",
    "Her vaccinations": """\
{ viewer { ... on Patient { record { profile {
    immunizations(first: 10) { totalCount edges { node {
      givenOn vaccineLabel doseRank diseases { name(locale: EN) }
    } } } } } } } }""",
    "Her documents, and where to download them": """\
{ viewer { ... on Patient { record {
    documents(first: 5) { totalCount edges { node {
      title category createdAt authors { familyName organizationName }
      contents { mediaType sizeBytes url }
    } } } } } } }""",
}
"""Title → query; each runs as it stands."""


def welcome(address: str, settings: Settings) -> str:
    """Return the text.

    Args:
        address: where the server answers.
        settings: name the data folder.
    """
    carnet = _command()
    people = "\n".join(f"    {handle:10} {who}" for handle, who in HANDLES.items())
    talk = "\n".join(
        f"    {_command('carnet-client')} --profile {settings.data_dir / 'clients' / handle} chat"
        f" --server {address} --login {login_of(handle)}"
        for handle in (DOCTOR, FIRST)
    )
    queries = "\n\n".join(
        f"  {number}. {title}\n\n{_indented(query)}"
        for number, (title, query) in enumerate(QUERIES.items(), 1)
    )
    where = settings.data_dir if settings.database_url is None else "CARNET_DATABASE_URL"
    return f"""
Carnet is ready: {address}/graphql

Sign in
  In GraphiQL:               choose somebody at the top right.
  In another terminal:       {carnet} token --as {FIRST}
                             sent as "Authorization: Bearer TOKEN".
  With the signIn mutation:  {login_of(FIRST)}, "{PASSWORD}".

  People of the sandbox:
{people}

Three queries to try

{queries}

Two people who talk, each in a terminal of their own
{talk}
  It asks for "{PASSWORD}", for a passphrase of your choice, and shows a recovery code. Then the
  doctor begins: Ctrl+N.

Feed it medical files:       {carnet} intake FILE…
Prove its journal:           {carnet} journal verify
Let six weeks pass:          {carnet} sandbox clock --advance 6w
The data is in {where}; the next start finds it there. Ctrl-C stops everything.
"""


def _command(name: str = "carnet") -> str:
    """Return how the user can call this program, or one that is beside it, from here."""
    program = Path(sys.argv[0])
    on_path = shutil.which("carnet")
    if program.name != "carnet" or (on_path and Path(on_path) == program.absolute()):
        return name
    beside = program.absolute().with_name(name)
    try:
        return str(beside.relative_to(Path.cwd()))
    except ValueError:
        return str(beside)


def _indented(text: str) -> str:
    return "\n".join("     " + line for line in text.splitlines())
