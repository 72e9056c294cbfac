"""Templates: what is escaped, what a template's layout adds, and that no HTML is written elsewhere in `demo`."""

import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from demo.view import markup
from demo.view.render import ENVIRONMENT, LineBreaks, render

DEMO = Path(markup.__file__).parents[1]
HOSTILE = '<script>alert("x")</script>&\''


def test_values_are_escaped_between_tags_and_in_attributes():
    html = markup.status("ready", HOSTILE, HOSTILE) + markup.strip(3, (1,), HOSTILE)
    assert "<script" not in html
    assert html.count("&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;&amp;&#39;") == 3


def test_html_of_another_macro_is_not_escaped_again():
    assert "<i></i>" in markup.work("title", "note", None, markup.strip(2, (), "label"))
    assert "&lt;b&gt;" in markup.work("title", "note", None, "<b>")


def test_a_value_that_a_template_needs_must_be_given():
    with pytest.raises(UndefinedError):
        str(render("common", "figure"))
    with pytest.raises(TypeError):
        render("common", "lead", word="misspelled")


def test_a_template_s_line_breaks_add_no_space_between_tags():
    lines = LineBreaks(ENVIRONMENT).preprocess
    assert lines("<p>\n  {{ a }}\n  <b>c</b>\n</p>\n", None) == "<p>{{ a }}<b>c</b></p>"
    assert lines('<a\n  href="x">one\n  two</a>', None) == '<a href="x">one two</a>'
    assert "\n" not in markup.empty("words")


@pytest.mark.parametrize("path", sorted(DEMO.rglob("*.py")), ids=lambda p: f"{p.parent.name}.{p.stem}")
def test_tags_are_written_in_templates_only(path):
    assert not re.findall(r"</?(?!extra)[a-z][a-z0-9]*[ >]", re.sub(r'""".*?"""', "", path.read_text("utf-8"), flags=re.S))


def test_every_piece_is_html_that_may_be_joined():
    assert isinstance(markup.lead("a") + markup.note("<"), Markup)
