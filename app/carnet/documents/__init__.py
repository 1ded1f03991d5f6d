"""Area: documents, their versions and their content."""
