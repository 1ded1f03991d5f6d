"""Secure messaging, as the server sees it: a relay that orders ciphertext and holds no key."""
