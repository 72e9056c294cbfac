"""Attacks on a request and its traces: membership inference, residue scan, planted breaks, self-test.

Must not import workspaces or the command line.
"""
