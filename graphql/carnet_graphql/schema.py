"""The schema: the roots of all areas put together."""

from __future__ import annotations

import strawberry

from carnet_graphql.access_mutations import AccessMutation
from carnet_graphql.appointment_mutations import AppointmentMutation
from carnet_graphql.assembly import CarnetSchema, build
from carnet_graphql.delegations import DelegationMutation
from carnet_graphql.document_mutations import DocumentMutation
from carnet_graphql.explaining import ExplainingQuery
from carnet_graphql.export_mutations import ExportMutation
from carnet_graphql.grant_mutations import GrantMutation
from carnet_graphql.immunization_mutations import ImmunizationMutation
from carnet_graphql.intake import IntakeMutation
from carnet_graphql.journal import JournalQuery
from carnet_graphql.lifecycle_mutations import LifecycleMutation
from carnet_graphql.messaging_account_mutations import MessagingAccountMutation
from carnet_graphql.messaging_accounts import MessagingQuery
from carnet_graphql.messaging_thread_mutations import MessagingThreadMutation
from carnet_graphql.node import NodeQuery
from carnet_graphql.notification_mutations import NotificationPreferenceMutation
from carnet_graphql.notifications import NotificationMutation
from carnet_graphql.operators import OperatorMutation, OperatorQuery
from carnet_graphql.people import PeopleQuery
from carnet_graphql.people_mutations import PeopleMutation
from carnet_graphql.prevention_items import PreventionItem
from carnet_graphql.prevention_mutations import PreventionMutation
from carnet_graphql.profile import SECTION_TYPES
from carnet_graphql.profile_mutations import ProfileMutation
from carnet_graphql.records import RecordQuery
from carnet_graphql.statistics import StatisticsQuery
from carnet_graphql.subscriptions.root import Subscription


@strawberry.type(description="Everything that can be asked.")
class Query(
    PeopleQuery,
    RecordQuery,
    ExplainingQuery,
    JournalQuery,
    StatisticsQuery,
    OperatorQuery,
    MessagingQuery,
    NodeQuery,
):
    """Root of queries."""


@strawberry.type(description="Everything that can be done. Each field answers with a union.")
class Mutation(
    PeopleMutation,
    ProfileMutation,
    ImmunizationMutation,
    PreventionMutation,
    AppointmentMutation,
    DocumentMutation,
    ExportMutation,
    AccessMutation,
    GrantMutation,
    DelegationMutation,
    IntakeMutation,
    LifecycleMutation,
    NotificationMutation,
    NotificationPreferenceMutation,
    MessagingAccountMutation,
    MessagingThreadMutation,
    OperatorMutation,
):
    """Root of mutations."""


def schema(*, introspection: bool = True) -> CarnetSchema:
    """Return the schema; without introspection, as production serves it."""
    return build(
        Query,
        Mutation,
        Subscription,
        types=[*SECTION_TYPES.values(), PreventionItem],
        introspection=introspection,
    )
