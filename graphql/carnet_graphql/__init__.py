"""The GraphQL schema: one module for each area, and what all areas share."""
