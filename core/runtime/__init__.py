"""How work runs: determinism, executors, progress and cancellation, file locks, atomic files, temporary folders, the cache folder.

Imports nothing else of `core` except `core.errors`.
"""
