"""What only clients do: with secret keys, and with what only members may read."""
