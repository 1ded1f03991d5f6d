"""The terminal interface: conversations on the left, what they say on the right."""
