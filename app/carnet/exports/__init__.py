"""A whole record as one archive: an International Patient Summary, all documents, the journal."""
