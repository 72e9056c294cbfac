"""Trains the embedded backbone on public images: data, views, teacher, student, schedule, export. Must not import what handles
private data."""
