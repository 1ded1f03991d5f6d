"""The prevention calendar of a record: what is due, what was done, and who is reminded of it."""
