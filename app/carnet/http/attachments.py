"""``GET /attachments/{id}``: the sealed bytes of a file, to members of its thread."""

from __future__ import annotations

from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carnet.errors import NotFound
from carnet.http.ranges import content_response
from carnet.http.services import actor_of, services_of
from carnet.messaging.messages import attachment
from carnet.store.blobs import StoredBlob

MEDIA_TYPE = "application/octet-stream"  # what it really is only members know


async def sealed(request: Request) -> Response:
    """Serve a sealed file."""
    services = services_of(request)
    actor = await actor_of(request)
    try:
        attachment_id = UUID(request.path_params["id"])
    except ValueError:
        raise NotFound() from None
    async with services.database.read() as work:
        blob = StoredBlob.of(await attachment(actor, work, attachment_id))
    return content_response(
        request, services.blobs, blob, media_type=MEDIA_TYPE, file_name="attachment"
    )


ROUTES = [Route("/attachments/{id}", sealed, methods=["GET", "HEAD"])]
