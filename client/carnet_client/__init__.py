"""Python SDK and command line pieces for people and publishers."""
