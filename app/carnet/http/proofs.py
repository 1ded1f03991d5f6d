"""Proofs as PDFs: ``GET /records/{id}/opposition-proof`` and ``…/closing-proof``.

The holder's session opens both. Somebody who opposed with the code they were sent has no
session: the key that the mutation answered with opens theirs, sent as a bearer token and never
in the address.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carnet.http.services import actor_of, bearer_of, services_of
from carnet.records.codes import PROOF_PREFIX
from carnet.records.proofs import ProofKind, printed, proof_by_key, proof_for
from carnet_graphql.node import read_id
from carnet_graphql.records import Record


async def opposition_proof(request: Request) -> Response:
    """Serve the proof of an opposition."""
    services = services_of(request)
    record_id = read_id(request.path_params["id"], Record, "id")
    token = bearer_of(request)
    if token is None or not token.startswith(PROOF_PREFIX):
        return await _own_proof(request, ProofKind.OPPOSITION)
    async with services.database.read() as work:
        proof = await proof_by_key(work, services.gate.server_key, record_id, token)
    return _pdf(printed(proof), ProofKind.OPPOSITION)


async def closing_proof(request: Request) -> Response:
    """Serve the proof of a closing."""
    return await _own_proof(request, ProofKind.CLOSING)


async def _own_proof(request: Request, kind: ProofKind) -> Response:
    services = services_of(request)
    record_id = read_id(request.path_params["id"], Record, "id")
    actor = await actor_of(request)
    async with services.database.read() as work:
        proof = await proof_for(actor, work, services.gate.server_key, record_id, kind)
    return _pdf(printed(proof), kind)


def _pdf(body: bytes, kind: ProofKind) -> Response:
    name = f"{kind.value.lower()}-proof.pdf"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(body, media_type="application/pdf", headers=headers)


ROUTES = [
    Route("/records/{id}/opposition-proof", opposition_proof, methods=["GET"]),
    Route("/records/{id}/closing-proof", closing_proof, methods=["GET"]),
]
