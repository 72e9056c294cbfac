"""A selection as a small JSON file that can be kept, mailed and opened again. Row numbers only: no pixels, no ids."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from core.errors import InputError
from core.types import Samples
from demo import texts

FORMAT, VERSION = "lmeraser-selection", 1
MOST_BYTES = 1_000_000


def write(rows: Sequence[int], pair: tuple[str, str], samples: Samples) -> str:
    """Return the file's text; `pair` is data set and preset, `samples` those that the rows count."""
    facts = {"format": FORMAT, "version": VERSION, "dataset": pair[0], "preset": pair[1], "data": fingerprint(samples)}
    return json.dumps(facts | {"rows": list(rows)}) + "\n"


def read(text: str, dataset: str, samples: Samples) -> list[int]:
    """Return the rows in a file's text; raises InputError naming what does not fit, the limit and the remedy."""
    size = len(text.encode("utf-8", "replace"))
    if size > MOST_BYTES:
        raise InputError(texts.file_too_large(size, MOST_BYTES))
    content = _parsed(text)
    if content.get("format") != FORMAT or content.get("version") != VERSION:
        raise InputError(texts.FILE_FORMAT.format(_shown(content.get("format")), _shown(content.get("version")), FORMAT, VERSION))
    if content.get("dataset") != dataset:
        raise InputError(texts.FILE_DATASET.format(_shown(content.get("dataset")), dataset))
    if content.get("data") != fingerprint(samples):
        raise InputError(texts.FILE_DATA.format(dataset, len(samples)))
    return _checked(content.get("rows"), len(samples))


def fingerprint(samples: Samples) -> str:
    """Return a short hash of which samples there are, in which order: what makes row numbers mean the same images."""
    return hashlib.sha256("".join(samples.ids).encode()).hexdigest()[:16]


def _parsed(text: str) -> dict[str, Any]:
    if not text.strip():
        raise InputError(texts.FILE_EMPTY)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(texts.FILE_JSON.format(_shown(text[:20]), getattr(error, "lineno", 1))) from error
    if not isinstance(content, dict) or "format" not in content:
        raise InputError(texts.FILE_OTHER)
    return content


def _checked(rows: Any, n: int) -> list[int]:
    if not isinstance(rows, list) or len(rows) > n:
        raise InputError(texts.FILE_ROWS.format(len(rows) if isinstance(rows, list) else _shown(rows), n))
    for row in rows:
        if isinstance(row, bool) or not isinstance(row, int) or not 0 <= row < n:
            raise InputError(texts.FILE_ROW.format(_shown(row), n - 1))
    return sorted(set(rows))


def _shown(value: Any) -> str:
    return f"{value!r:.40}"
