"""The end-to-end protocol CRN1: bytes in, bytes out; no I/O, no clock, no server."""
