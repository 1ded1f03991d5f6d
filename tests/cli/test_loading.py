"""What a server seldom needs is loaded when it is needed, not whenever one starts."""

import subprocess
import sys

SELDOM = [
    "aiohttp",
    "alembic",
    "cwt",
    "fpdf",
    "httpx",
    "icalendar",
    "joserfc",
    "opentelemetry",
    "pywebpush",
    "recurring_ical_events",
    "redis",
    "requests",
    "rich",
]
LOADED_BY_A_SERVER = """
import sys
import carnet.cli.application, carnet.cli.metrics, carnet.cli.server, carnet.cli.traces
import carnet.cli.upkeep, carnet.cli.workspace, carnet.http.observing
from carnet_graphql.schema import schema
schema()
print(*(name for name in sys.argv[1:] if name in sys.modules))
"""


def test_a_server_starts_without_what_it_seldom_needs() -> None:
    command = (sys.executable, "-c", LOADED_BY_A_SERVER, "sqlalchemy", *SELDOM)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["sqlalchemy"]
