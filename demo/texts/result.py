"""The Result tab, and the probabilities of forgotten images."""

from __future__ import annotations

from demo.texts.formats import count, ratio, seconds
from demo.texts.proof import NO_PROOF_HERE
from demo.texts.status import STAGES

LEAD_RESULT = "What forgetting cost, and what it did to the model."
EMPTY_RESULT = "No request yet. Select a few pictures, press Forget, and the result appears here."
RUN_FULL = "Run full retraining now"
RUN_FULL_INFO = (
    "A separate process trains a new model from scratch, from the data before your requests and the list of images to forget. This "
    "measures full retraining on this machine, and the proof compares your model with the result."
)
STOP_FULL = "Stop"
DOWNLOADS = {"one": ("Results as JSON", "Results as CSV"), "all": ("All requests as JSON", "All requests as CSV")}
ACCURACY = {"test": "Test images", "retained": "Retained images", "forgotten": "Forgotten images"}
ACCURACY_INFO = {
    "test": "never in the training data",
    "retained": "still in the model",
    "forgotten": "now like unseen images",
}
BEFORE, AFTER = "before", "after"
TIME_REQUEST, TIME_FULL = "This request", "Full retraining"
CHART_TIME = "Seconds on this machine"
CHART_CLASSES = "Change of test accuracy per class, in points"


def doubt(verdict) -> str:
    """Return what a result says in doubt of itself; empty where there is none."""
    if verdict.failed:
        return f"{verdict.info} What failed: {'; '.join(verdict.problems)}"
    return f"{verdict.title}. {verdict.info}" if verdict.unprovable else ""


def emptied(classes: tuple[str, ...]) -> str:
    """Return what is left of classes without images: a name among the answers."""
    many = len(classes) > 1
    name = f"class{'es' if many else ''} {', '.join(classes)}"
    return (
        f"No image of {name} is left, but {'their names stay' if many else 'its name stays'} as possible answer{'s' if many else ''}: "
        f"the model equals one trained with the same class list and no image of {'them' if many else 'it'}, "
        f"not one that never named {'them' if many else 'it'}."
    )


def training(done: int, total: int, stage: str) -> str:
    """Return what a running full retraining is doing."""
    return f"Training from scratch: {done:,} of {count(total, 'cluster')}" if stage == "train" and total else STAGES.get(stage, stage)


def headline(images: int, taken: float, full: float | None, measured: bool, kind: str) -> str:
    """Return the result in one sentence, as the kind of its verdict allows; `full`: seconds of full retraining, measured or estimated."""
    if kind == "different":
        return f"Not forgotten exactly: the proof of this request for {count(images, 'image')} failed."
    done = f"{count(images, 'image')} forgotten in {seconds(taken)}."
    done = f"{done} {NO_PROOF_HERE}" if kind == "unprovable" else done
    if not full:
        return done
    takes, saved = f"{'takes' if measured else 'would take about'} {seconds(full)}", full / max(taken, 1e-9)
    if saved < 1.1:
        return f"{done} Training what is left from scratch {takes}: this request saved no time."
    return f"{done} {ratio(saved)} faster than full retraining, which {takes}."


def result_summary(reports: dict[str, tuple[str, str]], taken: float, full: float | None) -> str:
    """Return the result for screen readers."""
    parts = [f"{ACCURACY[k]}: {before} before, {after} after." for k, (before, after) in reports.items()]
    return " ".join(parts) + f" This request took {seconds(taken)}." + (f" Full retraining: {seconds(full)}." if full else "")


def passes(request: int, full: int) -> str:
    """Return the saving without a clock: sample passes of request and full retraining."""
    saved = f"{100 * (1 - request / full):.1f} % saved" if full else ""
    return f"{request:,} sample passes instead of about {full:,}: {saved}."


def untouched(same: int, total: int) -> str:
    """Return whether untouched clusters kept their bytes."""
    if not total:
        return "No cluster was left untouched."
    if same == total:
        same_all = "The only untouched cluster is" if total == 1 else f"All {total:,} untouched clusters are"
        return f"{same_all} unchanged, byte for byte."
    return f"{total - same:,} of {count(total, 'untouched cluster')} changed. This must not happen."


FULL_STOPPED = "Stopped. Nothing was measured, and your model is unchanged."
PROBABILITIES = "What the model says about a forgotten picture"
PROBABILITIES_INFO = "Class probabilities before the request and after it. Each picture is named by its number and class."
PROBABILITIES_PICK = "Forgotten picture"
TRUE_CLASS = "true class"


def more_images(n: int) -> str:
    """Return how many forgotten images have no card."""
    return f"and {n:,} more"


def probabilities_title(row: int, name: str) -> str:
    """Return the name of a forgotten image."""
    return f"No. {row:,} · {name}"


def probabilities_change(before: float, after: float) -> str:
    """Return two probabilities in whole percent."""
    return f"{100 * before:.0f} → {100 * after:.0f} %"


def probabilities_spoken(before: float, after: float) -> str:
    """Return two probabilities for screen readers."""
    return f"{100 * before:.0f} % before, {100 * after:.0f} % after"


# The result card, in the request's place
FORGOTTEN_NOW = "Forgotten images: now like images it has never seen."
FORGET_MORE = "Forget something else"
ALL_FIGURES = "All figures"
ACCURACY_ROW = "Accuracy before and after"
ACCURACY_SHORT = {"test": "Test images", "retained": "Retained", "forgotten": "Forgotten"}
JUST_MEASURED = "Full retraining was measured just now on this machine."


def estimated_from(day: str, here: bool) -> str:
    """Return how the time of full retraining is known where it did not run for this request."""
    return f"Full retraining: estimated from a run here {'in this session' if here else 'on ' + day}."


def change(before: float, after: float) -> str:
    """Return how an accuracy changed, both in 0..1."""
    one = lambda value: f"{100 * value:.1f}".replace("100.0", "100")  # noqa: E731
    return f"{one(before)} → {one(after)} %"


CHECK_NOW = "Check it now"
SAID, SAYS = "Before", "Now"
SAID_UNTAUGHT, SAID_TAUGHT, SAYS_NOW = "Before you taught it", "Taught", "Forgotten"
FINGERPRINT = "Fingerprint"
SAME_AGAIN = "The fingerprint is the one from before it learned your picture, bit for bit, and so is every probability."
NOT_THE_SAME = "The model has changed otherwise since it learned your picture, so the fingerprint is another one than then."
AWAITED_SPEED = "measuring full retraining"


def speed(taken: float, full: float | None, kind: str) -> tuple[str, str]:
    """Return the result's large number and the words beside it, as the kind of its verdict allows."""
    if kind == "different":
        return seconds(taken), "for a request whose proof failed"
    if not full:
        return seconds(taken), f"to forget; {AWAITED_SPEED}"
    saved = full / max(taken, 1e-9)
    if saved < 1.1:
        return seconds(taken), "no faster than full retraining"
    return ratio(saved), "faster than full retraining"


def card_title(n: int, kind: str) -> str:
    """Return what was forgotten, as the kind of its verdict allows."""
    if kind == "different":
        return f"Not forgotten exactly: {count(n, 'image')}"
    return f"{count(n, 'image')} forgotten. {NO_PROOF_HERE}" if kind == "unprovable" else f"{count(n, 'image')} forgotten"


def answer(name: str, share: float) -> tuple[str, str]:
    """Return an answer and how sure the model is."""
    return name, f"{100 * share:.0f} %"


def asked_about(row: int, name: str, own: bool, n: int) -> str:
    """Return which picture the answers are about: the one whose answer changed most."""
    if own:
        return f"Your picture, called {name}"
    return f"No. {row:,}, labeled {name}" + (f" (1 of {n:,})" if n > 1 else "")


def answers_spoken(title: str, answers: list[tuple[str, str, str]]) -> str:
    """Return the answers for screen readers; (when, class, share) each."""
    return f"{title}. " + " ".join(f"{when}: {name}, {share}." for when, name, share in answers)


def proving(done: int, total: int, stage: str) -> str:
    """Return how far the training of the proof is."""
    return (
        f"Training from scratch without them: {done:,} of {total:,} clusters"
        if stage == "train" and total
        else "Training from scratch without them"
    )
