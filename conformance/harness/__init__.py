"""Holds Carnet against audits, clients, compilers and fuzzers that others publish.

`command` is the command line, `parts` names everything there is to run, `page` writes what came of
it. Tests run the same parts (tests/conformance).
"""
