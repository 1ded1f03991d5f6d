"""``GET /documents/{id}/content``: a document's bytes, after the same decision as every query.

The access journal holds the read before the first byte leaves.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carnet.access.volume import keep
from carnet.documents.actions import open_content, reach_content
from carnet.errors import NotFound
from carnet.http.ranges import content_response
from carnet.http.services import actor_of, services_of
from carnet_graphql.documents import Document
from carnet_graphql.node import read_id


async def content(request: Request) -> Response:
    """Serve one part of a document; part 0, the default, is the original."""
    services = services_of(request)
    actor = await actor_of(request)
    document_id = read_id(request.path_params["id"], Document, "id")
    part = request.query_params.get("part", "0")
    if not (part.isascii() and part.isdigit() and len(part) <= 4):
        raise NotFound()
    async with services.database.write() as work:
        pace = await reach_content(actor, work, document_id, int(part))
    await keep(pace)
    async with services.database.write() as work:
        row, blob = await open_content(actor, work, document_id, int(part))
    return content_response(
        request, services.blobs, blob, media_type=row.media_type, file_name=row.file_name
    )


ROUTES = [Route("/documents/{id}/content", content, methods=["GET", "HEAD"])]
