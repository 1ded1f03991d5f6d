"""Carnet, an open digital health record server: areas, store, http and cli."""
