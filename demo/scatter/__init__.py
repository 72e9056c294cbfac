"""The map component: thousands of points on a canvas, out of which a person selects some.

A codec between Python and the browser: typed values in (`Paint`, `Marks`, row numbers), a checked list of rows out.
It knows nothing about models, plans or visitors; what the points mean is said by the names in `Paint`.
"""

from demo.scatter.component import Marks, Paint, Scatter, Scheme, decode_selection, encode_selection

__all__ = ["Marks", "Paint", "Scatter", "Scheme", "decode_selection", "encode_selection"]
