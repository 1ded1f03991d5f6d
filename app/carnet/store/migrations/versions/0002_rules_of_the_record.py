"""Rules of the record."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Go up; there is no way down but a backup."""
    op.create_table(
        "habilitations",
        sa.Column("profession_code", sa.Text(), nullable=False),
        sa.Column("type_code", sa.Text(), nullable=False),
        sa.Column(
            "level",
            sa.Enum(
                "NONE",
                "READ",
                "READ_WRITE",
                name="habilitation_level",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("source", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("profession_code", "type_code", name=op.f("pk_habilitations")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("arguments", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("leased_by", sa.Uuid(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("kind", "key", name=op.f("uq_jobs_kind_key")),
    )
    op.create_index("ix_jobs_due_at", "jobs", ["due_at"], unique=False)
    op.create_table(
        "journal_counters",
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("last_main", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_held", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("record_id", name=op.f("pk_journal_counters")),
    )
    op.create_table(
        "journal_entries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column(
            "chain",
            sa.Enum(
                "MAIN",
                "HELD",
                name="journal_chain",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("on_behalf_of", sa.Uuid(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object_kind", sa.Text(), nullable=True),
        sa.Column("object_ids", postgresql.ARRAY(sa.UUID()), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("is_emergency", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "details",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("text_digest", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("number > 0", name=op.f("ck_journal_entries_number_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_entries")),
        sa.UniqueConstraint(
            "record_id", "chain", "number", name=op.f("uq_journal_entries_record_id_chain_number")
        ),
    )
    op.create_index(
        "ix_journal_entries_page", "journal_entries", ["record_id", "at", "id"], unique=False
    )
    op.create_table(
        "journal_leaves",
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("index", name=op.f("pk_journal_leaves")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_journal_leaves_entry_id")),
    )
    op.create_table(
        "journal_unsealed",
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_journal_unsealed")),
    )
    op.create_table(
        "log_nodes",
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("level", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("octet_length(hash) = 32", name=op.f("ck_log_nodes_hash_length")),
        sa.PrimaryKeyConstraint("log", "level", "index", name=op.f("pk_log_nodes")),
    )
    op.create_table(
        "statistics_contributions",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("group", sa.Text(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kind", "id", name=op.f("pk_statistics_contributions")),
    )
    op.create_table(
        "statistics_counters",
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint(
            "metric", "period", "dimension", name=op.f("pk_statistics_counters")
        ),
    )
    op.create_table(
        "statistics_position",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("next_leaf", sa.BigInteger(), nullable=False),
        sa.Column("folded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_statistics_position_single")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statistics_position")),
    )
    op.create_table(
        "technical_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column(
            "details",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_technical_events")),
    )
    op.create_index("ix_technical_events_at", "technical_events", ["at"], unique=False)
    op.create_table(
        "tree_heads",
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log", "size", name=op.f("pk_tree_heads")),
    )
    op.create_table(
        "delegations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("holder_person_id", sa.Uuid(), nullable=False),
        sa.Column("delegate_person_id", sa.Uuid(), nullable=True),
        sa.Column(
            "kind",
            sa.Enum(
                "PARENT",
                "CAREGIVER",
                name="delegation_kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("scopes", postgresql.ARRAY(sa.TEXT()), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=True),
        sa.Column("invited_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("invitation_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(accepted_at IS NULL) = (delegate_person_id IS NULL)",
            name=op.f("ck_delegations_accepted_by_somebody"),
        ),
        sa.CheckConstraint(
            "delegate_person_id <> holder_person_id", name=op.f("ck_delegations_not_oneself")
        ),
        sa.ForeignKeyConstraint(
            ["delegate_person_id"],
            ["persons.id"],
            name=op.f("fk_delegations_delegate_person_id_persons"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["holder_person_id"],
            ["persons.id"],
            name=op.f("fk_delegations_holder_person_id_persons"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delegations")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_delegations_code_hash")),
    )
    op.create_index(
        "ix_delegations_delegate_person_id", "delegations", ["delegate_person_id"], unique=False
    )
    op.create_index(
        "ix_delegations_holder_person_id", "delegations", ["holder_person_id"], unique=False
    )
    op.create_index(
        "uq_delegations_pair",
        "delegations",
        ["holder_person_id", "delegate_person_id"],
        unique=True,
        postgresql_where=sa.text("revoked_at IS NULL AND accepted_at IS NOT NULL"),
    )
    op.create_table(
        "access_settings",
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column(
            "is_masked_by_default", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column("hide_results_days", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "allows_regulation_centre", sa.Boolean(), server_default=sa.text("true"), nullable=False
        ),
        sa.Column(
            "allows_break_glass", sa.Boolean(), server_default=sa.text("true"), nullable=False
        ),
        sa.Column(
            "shows_masked_in_emergency",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
        ),
        sa.Column(
            "allows_attested_consent", sa.Boolean(), server_default=sa.text("true"), nullable=False
        ),
        sa.Column("revision", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "hide_results_days BETWEEN 0 AND 60",
            name=op.f("ck_access_settings_hide_results_days_bounds"),
        ),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["records.id"],
            name=op.f("fk_access_settings_record_id_records"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("record_id", name=op.f("pk_access_settings")),
    )
    op.create_table(
        "blocks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("professional_id", sa.Uuid(), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=True),
        sa.Column("blocked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "num_nonnulls(professional_id, organization_id) = 1", name=op.f("ck_blocks_one_grantee")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_blocks_organization_id_organizations"),
        ),
        sa.ForeignKeyConstraint(
            ["professional_id"],
            ["professionals.id"],
            name=op.f("fk_blocks_professional_id_professionals"),
        ),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["records.id"],
            name=op.f("fk_blocks_record_id_records"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_blocks")),
    )
    op.create_index(op.f("ix_blocks_organization_id"), "blocks", ["organization_id"], unique=False)
    op.create_index(op.f("ix_blocks_professional_id"), "blocks", ["professional_id"], unique=False)
    op.create_index(op.f("ix_blocks_record_id"), "blocks", ["record_id"], unique=False)
    op.create_index(
        "uq_blocks_organization",
        "blocks",
        ["record_id", "organization_id"],
        unique=True,
        postgresql_where=sa.text("lifted_at IS NULL AND organization_id IS NOT NULL"),
    )
    op.create_index(
        "uq_blocks_professional",
        "blocks",
        ["record_id", "professional_id"],
        unique=True,
        postgresql_where=sa.text("lifted_at IS NULL AND professional_id IS NOT NULL"),
    )
    op.create_table(
        "care_team_members",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("professional_id", sa.Uuid(), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=True),
        sa.Column(
            "role",
            sa.Enum(
                "MEMBER",
                "ATTENDING_DOCTOR",
                "ADMINISTRATOR",
                name="care_team_role",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "basis",
            sa.Enum(
                "NAMED",
                "DECLARED",
                name="care_team_basis",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("informed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "role = 'MEMBER' OR professional_id IS NOT NULL",
            name=op.f("ck_care_team_members_role_is_personal"),
        ),
        sa.CheckConstraint(
            "num_nonnulls(professional_id, organization_id) = 1",
            name=op.f("ck_care_team_members_one_grantee"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_care_team_members_organization_id_organizations"),
        ),
        sa.ForeignKeyConstraint(
            ["professional_id"],
            ["professionals.id"],
            name=op.f("fk_care_team_members_professional_id_professionals"),
        ),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["records.id"],
            name=op.f("fk_care_team_members_record_id_records"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_care_team_members")),
    )
    op.create_index(
        op.f("ix_care_team_members_organization_id"),
        "care_team_members",
        ["organization_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_care_team_members_professional_id"),
        "care_team_members",
        ["professional_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_care_team_members_record_id"), "care_team_members", ["record_id"], unique=False
    )
    op.create_index(
        "uq_care_team_members_attending",
        "care_team_members",
        ["record_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL AND role = 'ATTENDING_DOCTOR'"),
    )
    op.create_index(
        "uq_care_team_members_organization",
        "care_team_members",
        ["record_id", "organization_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL AND organization_id IS NOT NULL"),
    )
    op.create_index(
        "uq_care_team_members_professional",
        "care_team_members",
        ["record_id", "professional_id", "role"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL AND professional_id IS NOT NULL"),
    )
    op.create_table(
        "consents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("professional_id", sa.Uuid(), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=True),
        sa.Column(
            "basis",
            sa.Enum(
                "GIVEN",
                "ATTESTED",
                name="consent_basis",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("expires_at > given_at", name=op.f("ck_consents_ends_after_start")),
        sa.CheckConstraint(
            "num_nonnulls(professional_id, organization_id) = 1",
            name=op.f("ck_consents_one_grantee"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_consents_organization_id_organizations"),
        ),
        sa.ForeignKeyConstraint(
            ["professional_id"],
            ["professionals.id"],
            name=op.f("fk_consents_professional_id_professionals"),
        ),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["records.id"],
            name=op.f("fk_consents_record_id_records"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
    )
    op.create_index(
        op.f("ix_consents_organization_id"), "consents", ["organization_id"], unique=False
    )
    op.create_index(
        op.f("ix_consents_professional_id"), "consents", ["professional_id"], unique=False
    )
    op.create_index(
        "ix_consents_record_id_expires_at", "consents", ["record_id", "expires_at"], unique=False
    )
    op.create_table(
        "emergency_accesses",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("professional_id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "REGULATION_CENTRE",
                "BREAK_GLASS",
                name="emergency_kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("reason_salt", sa.LargeBinary(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "ends_at > started_at", name=op.f("ck_emergency_accesses_ends_after_start")
        ),
        sa.ForeignKeyConstraint(
            ["professional_id"],
            ["professionals.id"],
            name=op.f("fk_emergency_accesses_professional_id_professionals"),
        ),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["records.id"],
            name=op.f("fk_emergency_accesses_record_id_records"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_emergency_accesses")),
    )
    op.create_index(
        op.f("ix_emergency_accesses_professional_id"),
        "emergency_accesses",
        ["professional_id"],
        unique=False,
    )
    op.create_index(
        "ix_emergency_accesses_record_id_ends_at",
        "emergency_accesses",
        ["record_id", "ends_at"],
        unique=False,
    )
    op.create_table(
        "notifications",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.Column("professional_id", sa.Uuid(), nullable=True),
        sa.Column(
            "kind",
            sa.Enum(
                "RECORD_NOTICE",
                "RECORD_OPENED",
                "RECORD_DELETION_DUE",
                "MAJORITY",
                "RESULT_AWAITS",
                "CARE_TEAM_JOINED",
                "CONSENT_ATTESTED",
                "EMERGENCY_ACCESS",
                "DELEGATION_ACCEPTED",
                "DELEGATION_ENDED",
                "EXPORT_READY",
                "VOLUME_ALARM",
                name="notification_kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("record_id", sa.Uuid(), nullable=True),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "num_nonnulls(person_id, professional_id) <= 1",
            name=op.f("ck_notifications_one_recipient"),
        ),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["persons.id"],
            name=op.f("fk_notifications_person_id_persons"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["professional_id"],
            ["professionals.id"],
            name=op.f("fk_notifications_professional_id_professionals"),
        ),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["records.id"],
            name=op.f("fk_notifications_record_id_records"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
        sa.UniqueConstraint(
            "person_id",
            "professional_id",
            "kind",
            "subject_id",
            name="uq_notifications_once",
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_index(
        "ix_notifications_person_id_created_at",
        "notifications",
        ["person_id", "created_at"],
        unique=False,
    )
    op.create_index(
        "ix_notifications_professional_id_created_at",
        "notifications",
        ["professional_id", "created_at"],
        unique=False,
    )
    op.create_index("ix_notifications_record_id", "notifications", ["record_id"], unique=False)
    op.create_table(
        "exports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "QUEUED",
                "RUNNING",
                "READY",
                "FAILED",
                "EXPIRED",
                name="export_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("steps_done", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("steps_total", sa.Integer(), nullable=True),
        sa.Column("blob_id", sa.Uuid(), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_exports_account_id_accounts"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["blob_id"], ["blobs.id"], name=op.f("fk_exports_blob_id_blobs")),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["records.id"],
            name=op.f("fk_exports_record_id_records"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exports")),
    )
    op.create_index(op.f("ix_exports_blob_id"), "exports", ["blob_id"], unique=False)
    op.create_index(
        "ix_exports_record_id_requested_at", "exports", ["record_id", "requested_at"], unique=False
    )
    op.create_table(
        "reaches",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_reaches_account_id_accounts"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["records.id"],
            name=op.f("fk_reaches_record_id_records"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("account_id", "record_id", name=op.f("pk_reaches")),
    )
    op.create_index(
        "ix_reaches_account_id_last_at", "reaches", ["account_id", "last_at"], unique=False
    )
    op.create_index(op.f("ix_reaches_record_id"), "reaches", ["record_id"], unique=False)
    op.add_column(
        "documents",
        sa.Column(
            "author_rpps",
            postgresql.ARRAY(sa.TEXT()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
    )
    op.add_column(
        "documents", sa.Column("holder_told_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column("documents", sa.Column("released_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_documents_held",
        "documents",
        ["hidden_from_holder_until"],
        unique=False,
        postgresql_where=sa.text(
            "hidden_from_holder_until IS NOT NULL AND released_at IS NULL AND status <> 'WITHDRAWN'"
        ),
    )
    op.add_column(
        "organizations",
        sa.Column(
            "is_regulation_centre", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
    )
    op.add_column("records", sa.Column("opposed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("records", sa.Column("suspended_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "records", sa.Column("deletion_requested_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column("records", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "records",
        sa.Column(
            "former_state",
            sa.Enum(
                "NOTIFIED",
                "OPPOSED",
                "OPEN",
                "ACTIVATED",
                "SUSPENDED",
                "CLOSED",
                "DELETION_REQUESTED",
                "DELETED",
                name="former_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
    )
    op.add_column("records", sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "records",
        sa.Column(
            "enrolment_code_issue", sa.Integer(), server_default=sa.text("1"), nullable=False
        ),
    )
    op.drop_constraint(op.f("uq_records_person_id"), "records", type_="unique")
    op.create_index(op.f("ix_records_due_at"), "records", ["due_at"], unique=False)
    op.create_index("ix_records_person_id", "records", ["person_id"], unique=False)
    op.create_index(
        "uq_records_living",
        "records",
        ["person_id"],
        unique=True,
        postgresql_where=sa.text("state <> 'DELETED'"),
    )
