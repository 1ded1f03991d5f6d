"""The sandbox: named personas written by us, with histories that make every feature visible."""
