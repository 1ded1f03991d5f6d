"""All tables of all areas, for the migrations and their tests.

This is the one module of the store that looks up at the areas. A new area's ``tables`` is added
here; a test fails until it is.
"""

from __future__ import annotations

import carnet.access.journal_tables
import carnet.access.tables
import carnet.documents.tables
import carnet.exports.tables
import carnet.intake.tables
import carnet.messaging.tables
import carnet.notifications.tables
import carnet.people.tables
import carnet.prevention.tables
import carnet.records.tables
import carnet.statistics.tables
import carnet.store.tables
import carnet.terminology.tables  # noqa: F401 — importing a module registers its tables
from carnet.store.base import Base

METADATA = Base.metadata
