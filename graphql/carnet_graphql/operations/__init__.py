"""Operations before they run: read once, bounded, priced, and known by their hashes."""
