"""HTTP: the Starlette application, its routes and its guards."""
