"""Reads what people bring: folders, archives, tables and Hub repositories, image by image, with a report of what became of each.

Imports nothing of `core` but its errors and `core.data.images`.
"""
