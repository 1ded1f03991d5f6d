"""``GET /calendar/{secret}.ics``: a calendar for phones, to whoever has its secret address."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carnet.errors import NotFound
from carnet.http.services import services_of
from carnet.prevention.feeds import read

SUFFIX = ".ics"


async def calendar(request: Request) -> Response:
    """Serve a feed as it is now; a phone that has it already gets 304."""
    services = services_of(request)
    name = request.path_params["name"]
    if not name.endswith(SUFFIX):
        raise NotFound()
    feed_id = services.feeds.open(name.removesuffix(SUFFIX))
    async with services.database.write() as work:
        shown = await read(work, feed_id)
    english = request.headers.get("Accept-Language", "").strip().lower().startswith("en")
    body = await asyncio.to_thread(
        _written,
        feed_id,
        shown.entered,
        shown.appointments,
        is_detailed=shown.feed.is_detailed,
        language="en" if english else "fr",
    )
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {
        "ETag": tag,
        "Cache-Control": "private, no-cache",
        "Vary": "Accept-Language",
        "Content-Disposition": 'attachment; filename="carnet.ics"',
        "Referrer-Policy": "no-referrer",
    }
    if tag in request.headers.get("If-None-Match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="text/calendar; charset=utf-8", headers=headers)


def _written(*what: Any, **how: Any) -> bytes:
    """Write the feed, in a thread: there the library is loaded too when the first one is read."""
    from carnet.prevention.ics_feed import feed

    return feed(*what, **how)


ROUTES = [Route("/calendar/{name}", calendar, methods=["GET", "HEAD"])]
