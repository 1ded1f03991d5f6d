"""How an operation is let in and run, whichever transport it comes by.

In this order: its text is found or refused, read and bounded, and its cost taken from the viewer's
budget; only then does anything of it run.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError, OperationType

from carnet.errors import Refusal
from carnet.http.metrics import COSTS, OPERATIONS
from carnet.http.operations.budget import Budgets, Spent
from carnet.http.operations.requests import GraphQLRequest
from carnet.people.actor import Actor
from carnet.settings import Settings
from carnet_graphql.assembly import CarnetSchema
from carnet_graphql.context import Context
from carnet_graphql.masking import mask_all
from carnet_graphql.operations.operation import Operation
from carnet_graphql.operations.trusted import TrustedDocuments

UNREAD = "unread"  # of which type it is was not found out
ADMITTED, INVALID = "ADMITTED", "BAD_REQUEST"


@dataclass(frozen=True, slots=True)
class Admitted:
    """An operation that may run, paid for."""

    operation: Operation
    variables: dict[str, Any] | None
    spent: Spent


class WrongTransport(Exception):
    """An operation of this type does not come this way."""

    def __init__(self, type_: OperationType) -> None:
        super().__init__(type_.value)
        self.type = type_


class Execution:
    """Lets operations in and runs them. One for each process."""

    def __init__(
        self, schema: CarnetSchema, settings: Settings, documents: TrustedDocuments
    ) -> None:
        self._schema = schema
        self._documents = documents
        self._budgets = Budgets(settings)

    def admit(
        self,
        request: GraphQLRequest,
        actor: Actor,
        address: str,
        correlation_id: str,
        types: Container[OperationType] = frozenset(OperationType),
    ) -> Admitted | list[GraphQLError]:
        """Let an operation in, or return what is wrong with its document.

        Raises:
            WrongTransport: it is of none of the types that the transport carries.
            PersistedQueryNotFound, OperationNotTrusted: its document is not served.
            OperationTooCostly, RateLimited: it costs too much, or too much for now.
        """
        kind = UNREAD
        try:
            text = self._documents.text_of(request.query, request.document_id, actor)
            with self._budgets.reading(actor, address, text) as reading:
                found = self._schema.operations.read(text, request.operation_name)
                if isinstance(found, list):
                    OPERATIONS.labels(kind, INVALID).inc()
                    return mask_all(found, correlation_id) or []
                kind = found.type.value
                if found.type not in types:
                    OPERATIONS.labels(kind, INVALID).inc()
                    raise WrongTransport(found.type)
                cost = self._schema.costs.of(found, request.variables)
                self._budgets.check(cost)
                reading.is_good = True
            spent = self._budgets.spend(actor, address, cost)
        except Refusal as error:
            OPERATIONS.labels(kind, error.code).inc()
            raise
        OPERATIONS.labels(kind, ADMITTED).inc()
        COSTS.observe(cost)
        return Admitted(found, request.variables, spent)

    async def run(self, admitted: Admitted, context: Context) -> Mapping[str, Any]:
        """Run a query or a mutation, and return the answer as GraphQL has it.

        What ended before anything ran, such as a variable of a wrong type, has no ``data``.
        """
        result = await self._schema.run(admitted.operation, admitted.variables, context)
        body: dict[str, Any] = {}
        # Masked already, unless an extension itself failed; masking twice changes nothing.
        errors = mask_all(result.errors, context.correlation_id)
        if errors:
            body["errors"] = [error.formatted for error in errors]
        if not errors or result.data is not None or any(error.path for error in errors):
            body["data"] = result.data
        body["extensions"] = {**(result.extensions or {}), "cost": admitted.spent.shown()}
        return body
