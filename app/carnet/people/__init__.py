"""Area: persons, professionals, organizations, publishers; sign-in and sessions."""
