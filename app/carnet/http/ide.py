"""GraphiQL, served from this package's own files: no CDN, no inline script.

The files under ``static/graphiql`` that ``MANIFEST.json`` lists with their SHA-256 come from npm
packages; ``boot.js``, ``boot.css``, ``examples.js`` and ``index.html`` are ours.
``node scripts/vendor-graphiql.mjs`` fetches the others again.
"""

from __future__ import annotations

from pathlib import Path

from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

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


def ide_page() -> Response:
    """Return the page."""
    page = (FOLDER / "index.html").read_bytes()
    return Response(page, headers={"Content-Security-Policy": POLICY}, media_type="text/html")


def ide_files() -> Mount:
    """Return the route of the page's own files."""
    return Mount(PATH, StaticFiles(directory=FOLDER), name="graphiql")
