"""``GET /exports/{id}/content``: an archive, for who asked for it and still may have it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carnet.exports import actions
from carnet.exports.rules import archive_name
from carnet.http.ranges import content_response
from carnet.http.services import actor_of, services_of
from carnet_graphql.exports import Export
from carnet_graphql.node import read_id


async def content(request: Request) -> Response:
    """Serve the archive or a range of it.

    That it leaves is committed to the journal before its first byte does; an answer without any
    of its bytes, such as «you have it already», is not written down.
    """
    services = services_of(request)
    actor = await actor_of(request)
    export_id = read_id(request.path_params["id"], Export, "id")
    async with services.database.write() as work:
        export, blob = await actions.find_archive(actor, work, export_id)
        response = content_response(
            request,
            services.blobs,
            blob,
            media_type=blob.media_type,
            file_name=archive_name(export),
        )
        if request.method == "GET" and response.status_code in (200, 206):
            await actions.note_download(actor, work, export)
    return response


ROUTES = [Route("/exports/{id}/content", content, methods=["GET", "HEAD"])]
