"""Measurements: cost, accuracy, requests, and the other methods, one file each.

Must not import workspaces, audits or the command line.
"""
