"""Images of one's own on the page: dropping them, the import report, a lab that nobody else can open, and deleting everything.

It adds plain routes to the running server, and mounts a site of its own for each set of images. Imports what `demo.build` may import,
and `demo.build` itself.
"""
