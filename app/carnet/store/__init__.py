"""What lies under all areas: database, migrations, blobs. Knows no area and no transport."""
