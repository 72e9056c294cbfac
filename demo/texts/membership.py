"""The membership test on the Proof tab."""

from __future__ import annotations

from collections.abc import Sequence

from demo.texts.formats import count

RUN_AUDIT = "Run the membership test"
AUDIT_TITLE = "Can an attacker still tell?"
LEAD_AUDIT = "A membership test uses the model's answers to guess whether it was trained on a picture."
AUDIT_INFO = "Attacks the model before and after, models retrained without the pictures, and copies broken on purpose."
AUDIT_STOPPED = "Stopped. No result was kept."
AUDIT_OTHER_MODEL = (
    "The tested model has a different root from yours, so the test says nothing about yours. Press Start over and forget again."
)
AUDIT_STAGES = {
    "request": "Forgetting in a private copy",
    "features": "Computing the features of every picture",
    "control": "Training the control without the pictures",
    "shadows": "Training shadow models and controls",
    "canaries": "Teaching and forgetting mislabeled canaries",
}
AUDIT_DETAILS = "All attacks, a threshold to move, and the limits of this test"
AUDIT_HEAD = ("Model", "Attack score (0.5 = guessing)", "TPR at FPR", "Difference to control", "Verdict")
AUDIT_CAPTION = "Each attack on three models"
AUDIT_MODELS = {"before": "Before", "after": "After", "control": "Never saw them"}
ATTACKS = {
    "likelihood ratio": "Likelihood ratio (LiRA)",
    "loss threshold": "Loss threshold",
    "mislabeled canaries": "Mislabeled canaries",
}
AUDIT_BREAKS = {
    "head not subtracted": "the global head still counts the pictures",
    "one touched cluster stale": "one touched cluster keeps its old state",
    "all touched clusters stale": "all touched clusters keep their old states",
}
AUDIT_MARGIN = (
    "The attack score is the area under the ROC curve (AUC), with its 95 % interval. A model is called indistinguishable only if the whole "
    "interval of the difference in score lies within {:g} of the controls: {} models that never saw the pictures, trained with other seeds."
)
AUDIT_NOTICED = "Broken on purpose ({}): noticed by {}."
AUDIT_MISSED = "Broken on purpose ({}): not noticed by any attack on this request; the roots differ."
AUDIT_CAVEAT = (
    "Passing an attack is not a proof: weak attacks also miss bad methods. Equal roots are the proof; the test shows what they mean."
)
PICK_ATTACK, PICK_MODEL = "Attack", "Model"
THRESHOLD_INFO = "Move the line. The attacker calls everything to its right “learned”."
THRESHOLD_LABEL = "Threshold of the attack"
THRESHOLD = {
    "members": "Forgotten pictures",
    "others": "Pictures it never saw",
    "readout": "Caught # % of the forgotten pictures and wrongly accused # % of the unseen ones.",
}


def audit_summary(record: dict) -> str:
    """Return the attacks' verdict on the model after the request in one sentence."""
    members = next(r["members"] for r in record["results"] if r["model"] == "after")
    words = {
        "too few samples to conclude": f"{count(members, 'forgotten picture')} {'is' if members == 1 else 'are'} too few for a conclusion.",
        "distinguishable": "An attack can tell your model from models that never saw the pictures.",
    }
    return words.get(record["verdict"], "The attacks cannot tell your model from models that never saw the pictures.")


def audit_scores(record: dict) -> str:
    """Return each attack's score on the model after the request and on the control, and what a score means."""
    scores = {(r["attack"], r["model"]): r["auc"] for r in record["results"] if r["auc"] is not None}
    attacks = [attack for attack, model in scores if model == "after" and (attack, "control") in scores]
    said = ", ".join(f"{attack} {scores[attack, 'after']:.2f} ({scores[attack, 'control']:.2f})" for attack in attacks)
    return f"Attack scores on your model, and in brackets on one that never saw the pictures: {said}. 0.5 = guessing." if said else ""


def audit_shown(record: dict) -> list[dict]:
    """Return the results that the table shows: those of the model before, after, and the controls."""
    return [r for r in record["results"] if r["model"] in AUDIT_MODELS]


def audit_cells(r: dict) -> list:
    """Return one attack on one model: names, three figures with a small second line, and the verdict."""
    area = ("–", "") if r["auc"] is None else (f"{r['auc']:.2f}", "{:.2f} to {:.2f}".format(*r["auc_interval"]))
    caught = ("–", "")
    if r["true_positive_rate"] is not None:
        low, high = r["true_positive_interval"]
        rates = f"{100 * r['true_positive_rate']:.0f} % at {100 * r['false_positive_rate']:g} %"
        caught = (rates, f"{100 * low:.0f} to {100 * high:.0f} %")
    gap = ("–", "") if r["difference"] is None else (f"{r['difference']:+.2f}", "{:+.2f} to {:+.2f}".format(*r["difference_interval"]))
    return [ATTACKS[r["attack"]], AUDIT_MODELS[r["model"]], area, caught, gap, r["verdict"] or "the control itself"]


def audit_notes(record: dict) -> list[str]:
    """Return the limits of the test, and what it would notice."""
    weak = [attack for attack, works in record["sensitive"].items() if not works]
    canaries = {r["members"] for r in record["results"] if r["attack"] == "mislabeled canaries"}
    facts = [AUDIT_MARGIN.format(record["margin"]["auc"], record["controls"]), *map(audit_canaries, canaries)]
    return [AUDIT_CAVEAT, *facts, *(audit_power(*planted) for planted in record["planted"].items()), *([audit_weak(weak)] if weak else [])]


def audit_canaries(n: int) -> str:
    """Return what canaries are."""
    what = f"Canaries are {n:,} unseen pictures" if n != 1 else "The canary is an unseen picture"
    labels = "wrong labels" if n != 1 else "a wrong label"
    return f"{what} that a copy learns with {labels} and then forgets: models remember such pictures best."


def audit_weak(attacks: Sequence[str]) -> str:
    """Return which attacks say little, because they did not detect even the model that still knew the pictures."""
    one = len(attacks) == 1
    names = " and ".join(filter(None, (", ".join(attacks[:-1]), attacks[-1])))
    subject, verdicts = ("attack", "its other verdicts mean") if one else ("attacks", "their other verdicts mean")
    return f"The {names} {subject} did not even detect the model that still knew the pictures, so {verdicts} little here."


def audit_power(name: str, verdicts: dict[str, str]) -> str:
    """Return which attacks notice a model that was broken on purpose."""
    seen = [attack for attack, verdict in verdicts.items() if verdict == "distinguishable"]
    return AUDIT_NOTICED.format(AUDIT_BREAKS[name], " and ".join(seen)) if seen else AUDIT_MISSED.format(AUDIT_BREAKS[name])
