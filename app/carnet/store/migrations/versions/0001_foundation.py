"""Foundation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Go up; there is no way down but a backup."""
    op.create_table(
        "blobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "PENDING",
                "READY",
                name="blob_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.LargeBinary(), nullable=True),
        sa.Column("kek_id", sa.Text(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state = 'PENDING' OR (size_bytes IS NOT NULL AND sha256 IS NOT NULL)",
            name=op.f("ck_blobs_ready_is_whole"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_blobs")),
    )
    op.create_index(
        "ix_blobs_expires_at",
        "blobs",
        ["expires_at"],
        unique=False,
        postgresql_where="claimed_at IS NULL",
    )
    op.create_index(
        "ix_blobs_owner", "blobs", ["owner"], unique=False, postgresql_where="claimed_at IS NULL"
    )
    op.create_table(
        "clock_offset",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("moved_by", sa.Interval(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_clock_offset_single")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clock_offset")),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("key", sa.Uuid(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("answer", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotency_keys")),
        sa.UniqueConstraint("actor", "key", name=op.f("uq_idempotency_keys_actor_key")),
    )
    op.create_index(
        "ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"], unique=False
    )
    op.create_table(
        "organizations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("facility_type_code", sa.Text(), nullable=True),
        sa.Column("identifier_system", sa.Text(), nullable=True),
        sa.Column("identifier_value", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organizations")),
    )
    op.create_index(
        "uq_organizations_identifier",
        "organizations",
        ["identifier_system", "identifier_value"],
        unique=True,
        postgresql_where=sa.text("identifier_value IS NOT NULL"),
    )
    op.create_table(
        "persons",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("birth_family_name", sa.Text(), nullable=False),
        sa.Column("used_family_name", sa.Text(), nullable=True),
        sa.Column("given_names", postgresql.ARRAY(sa.TEXT()), nullable=False),
        sa.Column("birth_date", sa.Text(), nullable=True),
        sa.Column(
            "sex",
            sa.Enum(
                "FEMALE",
                "MALE",
                "OTHER",
                "UNKNOWN",
                name="sex",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("birth_place_code", sa.Text(), nullable=True),
        sa.Column("deceased_on", sa.Text(), nullable=True),
        sa.Column("is_deceased", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "birth_date ~ '^\\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\\d|3[01]))?)?$'",
            name=op.f("ck_persons_birth_date_partial_date"),
        ),
        sa.CheckConstraint(
            "deceased_on ~ '^\\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\\d|3[01]))?)?$'",
            name=op.f("ck_persons_deceased_on_partial_date"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_persons")),
    )
    op.create_table(
        "sign_in_attempts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("login_hash", sa.LargeBinary(), nullable=False),
        sa.Column("address", postgresql.INET(), nullable=False),
        sa.Column("attempted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("succeeded_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_attempts")),
    )
    op.create_index(
        "ix_sign_in_attempts_address_attempted_at",
        "sign_in_attempts",
        ["address", "attempted_at"],
        unique=False,
    )
    op.create_index(
        "ix_sign_in_attempts_login_hash_attempted_at",
        "sign_in_attempts",
        ["login_hash", "attempted_at"],
        unique=False,
    )
    op.create_table(
        "terminology_concepts",
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("display", sa.Text(), nullable=False),
        sa.Column("value_set", sa.Text(), nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("system", "code", name=op.f("pk_terminology_concepts")),
    )
    op.create_table(
        "terminology_vaccines",
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("disease_codes", postgresql.ARRAY(sa.TEXT()), nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("system", "code", name=op.f("pk_terminology_vaccines")),
    )
    op.create_table(
        "person_identifiers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("is_national", sa.Boolean(), nullable=False),
        sa.Column("is_key_valid", sa.Boolean(), nullable=True),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["persons.id"],
            name=op.f("fk_person_identifiers_person_id_persons"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person_identifiers")),
        sa.UniqueConstraint(
            "person_id",
            "system",
            "value",
            name=op.f("uq_person_identifiers_person_id_system_value"),
        ),
    )
    op.create_index(
        "ix_person_identifiers_system_value",
        "person_identifiers",
        ["system", "value"],
        unique=False,
    )
    op.create_index(
        "uq_person_identifiers_national",
        "person_identifiers",
        ["system", "value"],
        unique=True,
        postgresql_where=sa.text("is_national"),
    )
    op.create_table(
        "professionals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("rpps", sa.Text(), nullable=False),
        sa.Column("family_name", sa.Text(), nullable=False),
        sa.Column("given_name", sa.Text(), nullable=False),
        sa.Column("profession_code", sa.Text(), nullable=False),
        sa.Column("speciality_code", sa.Text(), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("rpps ~ '^\\d{11}$'", name=op.f("ck_professionals_rpps_form")),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_professionals_organization_id_organizations"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_professionals")),
        sa.UniqueConstraint("rpps", name=op.f("uq_professionals_rpps")),
    )
    op.create_index(
        op.f("ix_professionals_organization_id"), "professionals", ["organization_id"], unique=False
    )
    op.create_table(
        "publishers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=True),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column(
            "may_register_persons", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_publishers_organization_id_organizations"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_publishers")),
        sa.UniqueConstraint("name", name=op.f("uq_publishers_name")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_publishers_secret_hash")),
    )
    op.create_index(
        op.f("ix_publishers_organization_id"), "publishers", ["organization_id"], unique=False
    )
    op.create_table(
        "records",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "NOTIFIED",
                "OPPOSED",
                "OPEN",
                "ACTIVATED",
                "SUSPENDED",
                "CLOSED",
                "DELETION_REQUESTED",
                "DELETED",
                name="record_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("notified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opens_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["persons.id"], name=op.f("fk_records_person_id_persons")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_records")),
        sa.UniqueConstraint("person_id", name=op.f("uq_records_person_id")),
    )
    op.create_index(op.f("ix_records_state"), "records", ["state"], unique=False)
    op.create_table(
        "accounts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "PATIENT",
                "PROFESSIONAL",
                "OPERATOR",
                name="account_kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.Column("professional_id", sa.Uuid(), nullable=True),
        sa.Column("login", sa.Text(), nullable=True),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("issuer", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(kind = 'PATIENT') = (person_id IS NOT NULL) AND (kind = 'PROFESSIONAL') = (professional_id IS NOT NULL)",
            name=op.f("ck_accounts_one_owner"),
        ),
        sa.CheckConstraint(
            "(issuer IS NULL) = (subject IS NULL)", name=op.f("ck_accounts_issuer_with_subject")
        ),
        sa.CheckConstraint("login = lower(login)", name=op.f("ck_accounts_login_lower")),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["persons.id"],
            name=op.f("fk_accounts_person_id_persons"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["professional_id"],
            ["professionals.id"],
            name=op.f("fk_accounts_professional_id_professionals"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_accounts_issuer_subject")),
        sa.UniqueConstraint("login", name=op.f("uq_accounts_login")),
    )
    op.create_index(op.f("ix_accounts_person_id"), "accounts", ["person_id"], unique=False)
    op.create_index(
        op.f("ix_accounts_professional_id"), "accounts", ["professional_id"], unique=False
    )
    op.create_table(
        "document_withdrawals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("publisher_id", sa.Uuid(), nullable=False),
        sa.Column("unique_id", sa.Text(), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["publisher_id"],
            ["publishers.id"],
            name=op.f("fk_document_withdrawals_publisher_id_publishers"),
        ),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["records.id"],
            name=op.f("fk_document_withdrawals_record_id_records"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_document_withdrawals")),
        sa.UniqueConstraint(
            "record_id",
            "publisher_id",
            "unique_id",
            name=op.f("uq_document_withdrawals_record_id_publisher_id_unique_id"),
        ),
    )
    op.create_table(
        "immunizations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("vaccine_label", sa.Text(), nullable=False),
        sa.Column(
            "codings",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
        ),
        sa.Column("disease_codes", postgresql.ARRAY(sa.TEXT()), nullable=False),
        sa.Column("given_on", sa.Text(), nullable=True),
        sa.Column("sort_on", sa.Text(), nullable=False),
        sa.Column("lot_number", sa.Text(), nullable=True),
        sa.Column("dose_rank", sa.Integer(), nullable=True),
        sa.Column("is_subpotent", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "given_on ~ '^\\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\\d|3[01]))?)?$'",
            name=op.f("ck_immunizations_given_on_partial_date"),
        ),
        sa.CheckConstraint("dose_rank > 0", name=op.f("ck_immunizations_dose_rank_positive")),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["records.id"],
            name=op.f("fk_immunizations_record_id_records"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_immunizations")),
    )
    op.create_index(
        "ix_immunizations_page", "immunizations", ["record_id", "sort_on", "id"], unique=False
    )
    op.create_table(
        "intake_items",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("publisher_id", sa.Uuid(), nullable=False),
        sa.Column("source_key", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("target_kind", sa.Text(), nullable=False),
        sa.Column("target_id", sa.Uuid(), nullable=False),
        sa.Column("landed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["publisher_id"],
            ["publishers.id"],
            name=op.f("fk_intake_items_publisher_id_publishers"),
        ),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["records.id"],
            name=op.f("fk_intake_items_record_id_records"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_intake_items")),
        sa.UniqueConstraint(
            "publisher_id", "source_key", name=op.f("uq_intake_items_publisher_id_source_key")
        ),
    )
    op.create_index(op.f("ix_intake_items_record_id"), "intake_items", ["record_id"], unique=False)
    op.create_table(
        "nothing_to_declare",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column(
            "section",
            sa.Enum(
                "ALLERGIES",
                "CONDITIONS",
                "TREATMENTS",
                "IMMUNIZATIONS",
                "PROCEDURES",
                "STAYS",
                "FAMILY_HISTORY",
                "LIFESTYLE",
                "MEASUREMENTS",
                "DISABILITIES",
                "ADVANCE_DIRECTIVES",
                "ENTOURAGE",
                "ATTENDING_DOCTOR",
                name="section",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "stated_by",
            sa.Enum(
                "HOLDER",
                "DELEGATE",
                "PROFESSIONAL",
                "PUBLISHER",
                name="stated_by",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("stated_by_id", sa.Uuid(), nullable=True),
        sa.Column("stated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["records.id"],
            name=op.f("fk_nothing_to_declare_record_id_records"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nothing_to_declare")),
        sa.UniqueConstraint(
            "record_id", "section", name=op.f("uq_nothing_to_declare_record_id_section")
        ),
    )
    op.create_table(
        "submissions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("publisher_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("is_settled", sa.Boolean(), nullable=False),
        sa.Column("items", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("octet_length(sha256) = 32", name=op.f("ck_submissions_sha256_length")),
        sa.ForeignKeyConstraint(
            ["publisher_id"], ["publishers.id"], name=op.f("fk_submissions_publisher_id_publishers")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_submissions")),
        sa.UniqueConstraint(
            "publisher_id", "sha256", name=op.f("uq_submissions_publisher_id_sha256")
        ),
    )
    op.create_table(
        "documents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("lineage_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "CURRENT",
                "SUPERSEDED",
                "WITHDRAWN",
                name="document_status",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "depositor",
            sa.Enum(
                "HOLDER",
                "DELEGATE",
                "PROFESSIONAL",
                "PUBLISHER",
                name="depositor_kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("depositor_account_id", sa.Uuid(), nullable=True),
        sa.Column("publisher_id", sa.Uuid(), nullable=True),
        sa.Column("unique_id", sa.Text(), nullable=False),
        sa.Column("set_id", sa.Text(), nullable=True),
        sa.Column("content_key", sa.LargeBinary(), nullable=False),
        sa.Column("replaces_unique_id", sa.Text(), nullable=True),
        sa.Column(
            "category",
            sa.Enum(
                "REPORT",
                "LABORATORY",
                "IMAGING",
                "PRESCRIPTION",
                "DISPENSATION",
                "HOSPITAL_STAY",
                "PREVENTION",
                "VACCINATION",
                "CERTIFICATE",
                "CARE_PLAN",
                "SUMMARY",
                "REIMBURSEMENT",
                "ADVANCE_DIRECTIVE",
                "PERSONAL",
                "OTHER",
                name="document_category",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("type_system", sa.Text(), nullable=True),
        sa.Column("type_code", sa.Text(), nullable=True),
        sa.Column("type_display", sa.Text(), nullable=True),
        sa.Column("format_code", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("confidentiality_codes", postgresql.ARRAY(sa.TEXT()), nullable=False),
        sa.Column("practice_setting_code", sa.Text(), nullable=True),
        sa.Column("practice_setting_display", sa.Text(), nullable=True),
        sa.Column("facility_type_code", sa.Text(), nullable=True),
        sa.Column("facility_type_display", sa.Text(), nullable=True),
        sa.Column("source_created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("service_started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("service_ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "authors",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
        ),
        sa.Column("author_text", sa.Text(), nullable=False),
        sa.Column("is_masked", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("hidden_from_holder_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "is_hidden_from_representatives",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
        ),
        sa.Column("flags", postgresql.ARRAY(sa.TEXT()), nullable=False),
        sa.Column("revision", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("sort_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deposited_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(depositor = 'PUBLISHER') = (publisher_id IS NOT NULL)",
            name=op.f("ck_documents_publisher_deposits"),
        ),
        sa.CheckConstraint(
            "octet_length(content_key) = 32", name=op.f("ck_documents_content_key_length")
        ),
        sa.CheckConstraint("version > 0", name=op.f("ck_documents_version_positive")),
        sa.ForeignKeyConstraint(
            ["depositor_account_id"],
            ["accounts.id"],
            name=op.f("fk_documents_depositor_account_id_accounts"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["publisher_id"], ["publishers.id"], name=op.f("fk_documents_publisher_id_publishers")
        ),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["records.id"],
            name=op.f("fk_documents_record_id_records"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_documents")),
        sa.UniqueConstraint(
            "lineage_id",
            "version",
            deferrable=True,
            initially="DEFERRED",
            name=op.f("uq_documents_lineage_id_version"),
        ),
        sa.UniqueConstraint(
            "publisher_id",
            "unique_id",
            "content_key",
            name=op.f("uq_documents_publisher_id_unique_id_content_key"),
        ),
    )
    op.create_index(
        op.f("ix_documents_depositor_account_id"),
        "documents",
        ["depositor_account_id"],
        unique=False,
    )
    op.create_index(
        "ix_documents_page", "documents", ["record_id", "status", "sort_at", "id"], unique=False
    )
    op.create_index(
        "ix_documents_publisher_id_replaces",
        "documents",
        ["publisher_id", "replaces_unique_id"],
        unique=False,
    )
    op.create_index(
        "ix_documents_publisher_id_unique_id",
        "documents",
        ["publisher_id", "unique_id"],
        unique=False,
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("assurance", sa.Text(), nullable=False),
        sa.Column("device_name", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "octet_length(token_hash) = 32", name=op.f("ck_sessions_token_hash_length")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_sessions_account_id_accounts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_sessions_token_hash")),
    )
    op.create_index(op.f("ix_sessions_account_id"), "sessions", ["account_id"], unique=False)
    op.create_table(
        "document_contents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                "ORIGINAL",
                "EMBEDDED",
                name="content_role",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("blob_id", sa.Uuid(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("claimed_size_bytes", sa.Integer(), nullable=True),
        sa.Column("claimed_sha1", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(
            "(part = 0) = (role = 'ORIGINAL')", name=op.f("ck_document_contents_part_zero_original")
        ),
        sa.ForeignKeyConstraint(
            ["blob_id"], ["blobs.id"], name=op.f("fk_document_contents_blob_id_blobs")
        ),
        sa.ForeignKeyConstraint(
            ["document_id"],
            ["documents.id"],
            name=op.f("fk_document_contents_document_id_documents"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_document_contents")),
        sa.UniqueConstraint(
            "document_id", "part", name=op.f("uq_document_contents_document_id_part")
        ),
    )
    op.create_index(
        op.f("ix_document_contents_blob_id"), "document_contents", ["blob_id"], unique=False
    )
    op.create_table(
        "immunization_sources",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("immunization_id", sa.Uuid(), nullable=False),
        sa.Column("source_key", sa.Text(), nullable=False),
        sa.Column(
            "stated_by",
            sa.Enum(
                "HOLDER",
                "DELEGATE",
                "PROFESSIONAL",
                "PUBLISHER",
                name="stated_by",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("stated_by_id", sa.Uuid(), nullable=True),
        sa.Column("source_document_id", sa.Uuid(), nullable=True),
        sa.Column("hidden_from_holder_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("vaccine_label", sa.Text(), nullable=False),
        sa.Column(
            "codings",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
        ),
        sa.Column("disease_codes", postgresql.ARRAY(sa.TEXT()), nullable=False),
        sa.Column("given_on", sa.Text(), nullable=True),
        sa.Column("lot_number", sa.Text(), nullable=True),
        sa.Column("dose_rank", sa.Integer(), nullable=True),
        sa.Column("is_subpotent", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("stated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["immunization_id"],
            ["immunizations.id"],
            name=op.f("fk_immunization_sources_immunization_id_immunizations"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["source_document_id"],
            ["documents.id"],
            name=op.f("fk_immunization_sources_source_document_id_documents"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_immunization_sources")),
        sa.UniqueConstraint(
            "immunization_id",
            "source_key",
            name=op.f("uq_immunization_sources_immunization_id_source_key"),
        ),
    )
    op.create_index(
        op.f("ix_immunization_sources_immunization_id"),
        "immunization_sources",
        ["immunization_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_immunization_sources_source_document_id"),
        "immunization_sources",
        ["source_document_id"],
        unique=False,
    )
    op.create_table(
        "profile_entries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column(
            "section",
            sa.Enum(
                "ALLERGIES",
                "CONDITIONS",
                "TREATMENTS",
                "IMMUNIZATIONS",
                "PROCEDURES",
                "STAYS",
                "FAMILY_HISTORY",
                "LIFESTYLE",
                "MEASUREMENTS",
                "DISABILITIES",
                "ADVANCE_DIRECTIVES",
                "ENTOURAGE",
                "ATTENDING_DOCTOR",
                name="section",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column(
            "codings",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
        ),
        sa.Column(
            "status",
            sa.Enum(
                "ACTIVE",
                "INACTIVE",
                "RESOLVED",
                "REFUTED",
                "UNKNOWN",
                name="entry_status",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("started_on", sa.Text(), nullable=True),
        sa.Column("ended_on", sa.Text(), nullable=True),
        sa.Column("sort_on", sa.Text(), nullable=False),
        sa.Column("value", sa.Numeric(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column(
            "details",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column(
            "stated_by",
            sa.Enum(
                "HOLDER",
                "DELEGATE",
                "PROFESSIONAL",
                "PUBLISHER",
                name="stated_by",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("stated_by_id", sa.Uuid(), nullable=True),
        sa.Column("stated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source_document_id", sa.Uuid(), nullable=True),
        sa.Column("hidden_from_holder_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "ended_on ~ '^\\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\\d|3[01]))?)?$'",
            name=op.f("ck_profile_entries_ended_on_partial_date"),
        ),
        sa.CheckConstraint(
            "section <> 'IMMUNIZATIONS'", name=op.f("ck_profile_entries_immunizations_elsewhere")
        ),
        sa.CheckConstraint(
            "section = 'MEASUREMENTS' OR (value IS NULL AND unit IS NULL)",
            name=op.f("ck_profile_entries_value_measured"),
        ),
        sa.CheckConstraint(
            "started_on ~ '^\\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\\d|3[01]))?)?$'",
            name=op.f("ck_profile_entries_started_on_partial_date"),
        ),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["records.id"],
            name=op.f("fk_profile_entries_record_id_records"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["source_document_id"],
            ["documents.id"],
            name=op.f("fk_profile_entries_source_document_id_documents"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_profile_entries")),
    )
    op.create_index(
        "ix_profile_entries_page",
        "profile_entries",
        ["record_id", "section", "sort_on", "id"],
        unique=False,
    )
    op.create_index(
        "ix_profile_entries_source_document_id",
        "profile_entries",
        ["source_document_id"],
        unique=False,
    )
