"""The request column as HTML: the three ways in, what the model says while it is taught, and the card that says what a request did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from demo import texts
from demo.session.verdict import Verdict
from demo.view.markup import SIGNS, swatch
from demo.view.render import render

RACE = 2.6  # seconds that the slower of the two racing bars takes on the page


@dataclass(frozen=True)
class Way:
    """One way in: its key, title and sentence, pictures as data URIs, and whether it can be taken now."""

    key: str
    title: str
    words: str
    pictures: tuple[str, ...]
    ready: bool


@dataclass(frozen=True)
class Answer:
    """What a model answered: when, the class, how sure (0..1), and the root of that model; the root is empty where it is not shown."""

    when: str
    name: str
    share: float
    root: str = ""

    @property
    def percent(self) -> str:
        return texts.answer(self.name, self.share)[1]

    @property
    def mark(self) -> Markup | str:
        return swatch(self.root) if self.root else ""


def at(part: str) -> Markup:
    """Which part of the column is shown: start, teach, taught (a picture that can be forgotten), pick or result."""
    return render("card", "at", part=part)


def ways(cards: Sequence[Way]) -> Markup:
    """The cards of the ways in."""
    return render("card", "ways", cards=cards)


def said(answers: Sequence[Sequence[tuple[str, float]]], titles: Sequence[str], note: str) -> Markup:
    """What the model says about the picture on the sheet: (class, share) of the likeliest classes, before and after it learned it."""
    return render("card", "said", columns=list(zip(titles, answers, strict=False)), note=note)


@dataclass(frozen=True)
class Bar:
    """One of the racing bars: title, seconds in words, width in percent, and how long it runs."""

    title: str
    words: str
    width: float
    runs: float


def race(taken: float, full: float | None) -> list[Bar]:
    """Return the bars of a request and of full retraining, in true proportion; the first alone while the other is not known."""
    longest = max(taken, full or taken, 1e-9)
    bars = [(texts.TIME_REQUEST, taken), *([(texts.TIME_FULL, full)] if full else [])]
    return [Bar(title, texts.seconds(value), 100 * value / longest, RACE * value / longest) for title, value in bars]


def card(
    kind: str,
    title: str,
    speed: tuple[str, str],
    bars: Sequence[Bar],
    badge: str,
    asked: str,
    picture: str,
    answers: Sequence[Answer],
    remark: str,
    doubt: str,
    fresh: bool,
) -> Markup:
    """What a request did. kind: of its verdict. picture: a data URI, or the row of one that only the browser still has.

    fresh: the bars race.
    """
    spoken = texts.answers_spoken(asked, [(a.when, a.name, a.percent) for a in answers]) if answers else ""
    values: dict[str, object] = {"kind": kind, "title": title, "speed": speed, "bars": bars, "badge": badge, "asked": asked}
    values["picture"] = picture
    values |= {"answers": answers, "remark": remark, "doubt": doubt, "fresh": fresh, "spoken": spoken}
    return render("card", "card", **values)


def shares(accuracy: Sequence[tuple[str, str]]) -> Markup:
    """The accuracy of each group of images, before and after: (title, change)."""
    return render("card", "shares", accuracy=accuracy)


def badge(verdict: Verdict, words: str, share: float | None, roots: tuple[str, str]) -> Markup:
    """The proof's badge: not checked yet, training (with progress), equal or not equal. roots: of the model, and of the clean room."""
    marks = [swatch(root) for root in roots if root]
    return render("card", "badge", verdict=verdict, sign=SIGNS[verdict.kind], words=words, share=share, marks=marks)
