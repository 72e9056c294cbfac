"""A model to take home: a folder without private images that loads anywhere and predicts.

Imports nothing of `core` above `core.lmeraser`.
"""
