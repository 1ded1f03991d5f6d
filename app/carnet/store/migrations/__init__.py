"""Alembic's folder: the environment, the tables of all areas, and one file per revision."""
