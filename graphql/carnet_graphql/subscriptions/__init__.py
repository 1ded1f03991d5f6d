"""Subscriptions: what a client follows, and how it is compiled, rendered and delivered."""
