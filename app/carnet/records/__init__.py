"""Area: the record, its life cycle state and its medical profile."""
