"""The viewer: who has signed in, as a patient, professional, publisher or operator."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import UNSET

from carnet.notifications.queries import OPERATORS
from carnet.people import queries, tables
from carnet.people.actor import Assurance
from carnet.people.actor import Operator as OperatorActor
from carnet.people.actor import Patient as PatientActor
from carnet.people.actor import Professional as ProfessionalActor
from carnet.people.actor import Publisher as PublisherActor
from carnet.records import queries as records_queries
from carnet.values import PartialDate
from carnet_graphql.codings import Coding, coding_of
from carnet_graphql.connection import (
    After,
    Before,
    Connection,
    First,
    Last,
    connection,
    page_request,
)
from carnet_graphql.context import Info
from carnet_graphql.delegations import PatientDelegations
from carnet_graphql.lifecycle import PatientLifecycle
from carnet_graphql.messaging_accounts import MessagingPartner, ViewerMessagingAccounts
from carnet_graphql.messaging_threads import ViewerThreads
from carnet_graphql.node import Node, load_node, register_node
from carnet_graphql.notification_preferences import ViewerNotificationPreferences
from carnet_graphql.notifications import ViewerNotifications
from carnet_graphql.records import Record
from carnet_graphql.sessions import ViewerSessions

PROFESSIONS = "urn:oid:1.2.250.1.71.1.2.7"  # TRE_G15
SPECIALITIES = "urn:oid:1.2.250.1.71.4.2.5"  # TRE_R38

strawberry.enum(tables.Sex, name="Sex", description="Administrative sex.")
strawberry.enum(Assurance, name="Assurance", description="How somebody proved who they are.")


@strawberry.type(description="A number that some authority gave.")
class Identifier:
    """See `carnet.people.tables.PersonIdentifier`."""

    system: str = strawberry.field(description="URI of who gave it; OIDs are `urn:oid:…`.")
    value: str = strawberry.field(description="The number.")
    is_key_valid: bool | None = strawberry.field(
        description="Whether its check key is right; null where it has none."
    )


@strawberry.type(description="An establishment: hospital, practice, laboratory.")
class Organization(MessagingPartner, Node):
    """See `carnet.people.tables.Organization`."""

    row: strawberry.Private[tables.Organization]

    @classmethod
    def of(cls, row: tables.Organization) -> Organization:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, row=row)

    @strawberry.field(description="Name.")
    def name(self) -> str:
        """Return the name."""
        return self.row.name


register_node(Organization, queries.organizations, Organization.of)


@strawberry.type(description="A person who has a record: patient, holder.")
class Patient(
    PatientLifecycle,
    PatientDelegations,
    ViewerNotifications,
    ViewerNotificationPreferences,
    ViewerMessagingAccounts,
    ViewerThreads,
    ViewerSessions,
    MessagingPartner,
    Node,
):
    """See `carnet.people.tables.Person`."""

    row: strawberry.Private[tables.Person]

    @classmethod
    def of(cls, row: tables.Person) -> Patient:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, row=row)

    @strawberry.field(description="Family name at birth.")
    def birth_family_name(self) -> str:
        """Return the birth name."""
        return self.row.birth_family_name

    @strawberry.field(description="Family name in use, where it is another.")
    def used_family_name(self) -> str | None:
        """Return the used name."""
        return self.row.used_family_name

    @strawberry.field(description="Given names, in order.")
    def given_names(self) -> list[str]:
        """Return the given names."""
        return self.row.given_names

    @strawberry.field(description="Date of birth, as exactly as is known.")
    def birth_date(self) -> PartialDate | None:
        """Return the date of birth."""
        return self.row.birth_date

    @strawberry.field(description="Administrative sex.")
    def sex(self) -> tables.Sex:
        """Return the sex."""
        return self.row.sex

    @strawberry.field(description="Numbers that the person is known by.")
    async def identifiers(self, info: Info) -> list[Identifier]:
        """Return the identifiers."""
        rows = await info.context.load(records_queries.identifiers_of, self.key)
        return [
            Identifier(system=row.system, value=row.value, is_key_valid=row.is_key_valid)
            for row in rows or []
        ]

    @strawberry.field(description="The health record; null where there is none to see.")
    async def record(self, info: Info) -> Record | None:
        """Return the record."""
        row = await info.context.load(records_queries.of_persons, self.key)
        return Record.of(row) if row else None


register_node(Patient, records_queries.persons, Patient.of)


@strawberry.type(description="A registered health professional.")
class Professional(
    ViewerNotifications,
    ViewerNotificationPreferences,
    ViewerMessagingAccounts,
    ViewerThreads,
    ViewerSessions,
    MessagingPartner,
    Node,
):
    """See `carnet.people.tables.Professional`."""

    row: strawberry.Private[tables.Professional]

    @classmethod
    def of(cls, row: tables.Professional) -> Professional:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, row=row)

    @strawberry.field(description="National number of the professional (RPPS).")
    def rpps(self) -> str:
        """Return the number."""
        return self.row.rpps

    @strawberry.field(description="Family name.")
    def family_name(self) -> str:
        """Return the family name."""
        return self.row.family_name

    @strawberry.field(description="Given name.")
    def given_name(self) -> str:
        """Return the given name."""
        return self.row.given_name

    @strawberry.field(description="Profession (TRE_G15).")
    def profession(self) -> Coding:
        """Return the profession."""
        return Coding(system=PROFESSIONS, code=self.row.profession_code, source_display=None)

    @strawberry.field(description="Speciality (TRE_R38).")
    def speciality(self) -> Coding | None:
        """Return the speciality."""
        return coding_of(SPECIALITIES, self.row.speciality_code, None)

    @strawberry.field(description="Where the professional works.")
    async def organization(self, info: Info) -> Organization | None:
        """Return the organization."""
        id_ = self.row.organization_id
        return await load_node(info.context, Organization, id_) if id_ else None

    @strawberry.field(description="Records that you may see, the newest first; yours only.")
    async def patients(
        self,
        info: Info,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Connection[Record]:
        """Return a page of the records that the viewer sees; none on anybody else."""
        return await connection(
            info.context,
            self.key,
            page_request(first, after, last, before),
            Record.of,
            pages=records_queries.patient_pages,
            counts=records_queries.patient_counts,
            order=records_queries.PATIENTS,
        )


register_node(Professional, queries.professionals, Professional.of)


@strawberry.type(description="Software that feeds records.")
class Publisher(Node):
    """See `carnet.people.tables.Publisher`."""

    row: strawberry.Private[tables.Publisher]

    @classmethod
    def of(cls, row: tables.Publisher) -> Publisher:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, row=row)

    @strawberry.field(description="Name.")
    def name(self) -> str:
        """Return the name."""
        return self.row.name

    @strawberry.field(description="Whether it may register persons nobody knows yet.")
    def may_register_persons(self) -> bool:
        """Tell whether it may register persons."""
        return self.row.may_register_persons


@strawberry.type(description="Somebody who runs the service and sees no health data.")
class Operator(ViewerNotifications, Node):
    """An operator has no data of their own; ``key`` is their account."""

    assurance: Assurance = strawberry.field(description="How they proved who they are.")

    @classmethod
    def of(cls, actor: OperatorActor) -> Operator:
        """Return the actor as their GraphQL object."""
        return cls(key=actor.account_id, assurance=actor.assurance)

    def recipient(self) -> UUID:
        """Return whom their notifications are for: all operators."""
        return OPERATORS


register_node(Publisher, queries.own_publisher, Publisher.of)
register_node(Operator, queries.own_operator, Operator.of)


Viewer = Annotated[
    Patient | Professional | Publisher | Operator,
    strawberry.union("Viewer", description="Who has signed in."),
]


@strawberry.type
class PeopleQuery:
    """The root of what is personal."""

    @strawberry.field(description="Who has signed in; null for nobody.")
    async def viewer(self, info: Info) -> Viewer | None:
        """Return the actor as an object."""
        match info.context.actor:
            case PatientActor(person_id=id_):
                return await load_node(info.context, Patient, id_)
            case ProfessionalActor(professional_id=id_):
                return await load_node(info.context, Professional, id_)
            case PublisherActor(publisher_id=id_):
                return await load_node(info.context, Publisher, id_)
            case OperatorActor() as operator:
                return Operator.of(operator)
        return None
