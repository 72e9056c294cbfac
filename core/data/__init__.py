"""What goes in: samples and their ids, untrusted images, named and users' data sets, selection by id, label and subject.

Imports nothing of `core` above `core.runtime`; it works without a model.
"""
