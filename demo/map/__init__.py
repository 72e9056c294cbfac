"""The map component: thousands of points on a canvas, from which a person selects some.

It turns typed values (`Paint`, `Marks`, row numbers) into messages for the browser, and messages from the browser into a checked
list of rows. Must not import the rest of demo.
"""

from demo.map.component import Marks, Paint, Scatter, Scheme, decode_selection, encode_selection, pack_codes

__all__ = ["Marks", "Paint", "Scatter", "Scheme", "decode_selection", "encode_selection", "pack_codes"]
