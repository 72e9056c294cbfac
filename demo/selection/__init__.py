"""A selection as text: sample numbers, permalinks, saved files, and which pictures the numbers refer to.

Must not import session, view or tabs.
"""
