"""GraphiQL, served from this package's own files: no CDN, no inline script.

The files under ``static/graphiql`` that ``MANIFEST.json`` lists with their SHA-256 come from npm
packages; ``boot.js``, ``boot.css``, ``examples.js`` and ``index.html`` are ours.
``node scripts/vendor-graphiql.mjs`` fetches the others again.

In the sandbox the page offers to sign in as anybody who lives there: `personas` tells it who does.
All of this is served in development only.
"""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from carnet.http.services import services_of
from carnet.sandbox.personas import HANDLES, HOLDERS, OPERATOR, PRACTITIONERS
from carnet.sandbox.population import PASSWORD, is_populated
from carnet.sandbox.relations import login_of

FOLDER = Path(__file__).parent / "static" / "graphiql"
PATH = "/static/graphiql"
# GraphiQL's editor sets style attributes, and its fonts are in its style sheet.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "font-src data:",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
GROUPS = {
    "Patients": {each.handle: each.given_name for each in HOLDERS},
    "Professionals": {
        each.handle: f"{each.given_name} {each.family_name.title()}" for each in PRACTITIONERS
    },
    "Operators": {OPERATOR: "Operator"},
}
"""Whom the page offers, as it shows them. Publishers have no password to sign in with."""


def ide_page() -> Response:
    """Return the page."""
    page = (FOLDER / "index.html").read_bytes()
    return Response(page, headers={"Content-Security-Policy": POLICY}, media_type="text/html")


def ide_routes() -> list[BaseRoute]:
    """Return the routes of what the page loads, and of who opens the server's bare address."""
    return [
        Route("/", to_page),
        Route(f"{PATH}/personas", personas),
        Mount(PATH, StaticFiles(directory=FOLDER), name="graphiql"),
    ]


async def to_page(_request: Request) -> Response:
    """Send a browser on to the page."""
    return RedirectResponse("/graphql")


async def personas(request: Request) -> Response:
    """Answer who can be signed in as: nobody, where the sandbox was not loaded."""
    async with services_of(request).database.read() as work:
        is_sandbox = await is_populated(work)
    people = [
        {
            "group": group,
            "handle": handle,
            "name": name,
            "who": HANDLES[handle],
            "login": login_of(handle),
            "password": PASSWORD,
        }
        for group, members in GROUPS.items()
        for handle, name in members.items()
    ]
    return JSONResponse(people if is_sandbox else [])
