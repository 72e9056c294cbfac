"""The frozen public model: loading, features and their cache, the map's layout, pretraining.

Must not import the method (`core.lmeraser`) or anything above it.
"""
