"""Files as bytes that may hold an image or an array."""

import base64
import io
import zipfile

import numpy as np
from PIL import Image


def png(image: np.ndarray, scale: int = 1, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image.repeat(scale, 0).repeat(scale, 1)).save(buffer, "PNG", **options)
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def safetensors(array: np.ndarray) -> bytes:
    from safetensors.numpy import save

    return save({"x": np.ascontiguousarray(array)})


def zipped(data: bytes, name: str = "x.bin") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


def parquet(**columns) -> bytes:
    import pyarrow
    from pyarrow import parquet

    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), buffer, compression="zstd", use_dictionary=True)
    return buffer.getvalue()


def data_uri(image: np.ndarray) -> bytes:
    return b'<img src="data:image/png;base64,' + base64.b64encode(png(image)) + b'" alt="">'
