"""Fills the HTML templates in `templates/`: one file a tab or topic, one macro for each piece of the page.

Every value is escaped, except HTML that another macro returned (`Markup`). All sentences are available to templates as `texts`.
"""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.ext import Extension
from markupsafe import Markup

from demo import texts


class LineBreaks(Extension):
    """Drops line breaks between tags, so that a template's layout adds no space to the page; within a tag or text, one space stays."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return re.sub(r"\s*\n\s*", " ", re.sub(r"(?<=[>}])\s*\n\s*(?=[<{])", "", source.strip()))


ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    extensions=[LineBreaks],
)
ENVIRONMENT.globals["texts"] = texts


def render(template: str, macro: str, **values: object) -> Markup:
    """Return the HTML of one macro in `templates/<template>.html`."""
    return getattr(ENVIRONMENT.get_template(f"{template}.html").module, macro)(**values)
