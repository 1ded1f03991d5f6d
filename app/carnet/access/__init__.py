"""Who may see what of a record and why: settings, grants, delegation, emergencies, the journal."""
