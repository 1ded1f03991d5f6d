"""Counts for operators, folded out of the journal, with small ones suppressed."""
