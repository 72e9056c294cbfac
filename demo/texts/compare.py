"""The Compare tab: other ways of forgetting, and where the saving comes from."""

from __future__ import annotations

from collections.abc import Sequence

from demo.texts.formats import count, ratio, seconds, share

LEAD_COMPARE = "The same request with other unlearning methods, measured now on this machine."
METHODS = {
    "LMEraser": ("LMEraser", "retrains the clusters that the request touches"),
    "full refit": ("Full refit", "retrains everything from scratch on the remaining images"),
    "closed form only": ("Closed form only", "one linear classifier without clusters; subtracts the images from its sums"),
    "class means": ("Class means", "the same clusters with class means instead of prompts (preset instant)"),
    "SISA": ("SISA", "the same number of random shards, which vote; retrains those touched"),
    "one prompt": ("One prompt on all data", "retrained on the remaining images"),
    "fine-tune on retained": ("Fine-tune on retained", "continues training on the rest, hoping the others fade"),
    "gradient ascent": ("Gradient ascent", "raises the loss on the images to forget"),
    "random labels": ("Random labels", "learns wrong labels for the images to forget"),
    "prompt not learned": ("Prompt not learned", "the same clusters, but only their heads are trained"),
    "whole backbone": ("Whole backbone", "retrains every weight; takes minutes without a GPU"),
}
COMPARE_CHOSEN = tuple(METHODS)[1:-2]
COMPARE_PICK = "Compare LMEraser with"
COMPARE_HEAD = ("Method", "Guarantee", "Seconds", "Sample passes", "Test", "Retained", "Forgotten", "Attack score (0.5 = guessing)")
COMPARE_CAPTION = "Methods compared on your last request"
METHOD_WAITS = "waiting"
KINDS = {"exact": "exact", "approximate": "approximate", "contradicted": "proof failed", "unproven": "no proof here"}
RUN_COMPARISON = "Run the comparison"
STOP = "Stop"
COMPARE_NONE = "Forget something first. Each method then gets the same request."
COMPARE_INFO = (
    "Each method is first trained on the pictures from before your request; that time is not counted. It uses the lab's own copy, so "
    "your model does not get the pictures back."
)
COMPARE_PREPARING = "Preparing pictures and models"
COMPARE_STOPPED = "Stopped. The results so far stay on the page."
EMPTY_COMPARE = "Nothing compared yet. Results appear here one by one, as each method finishes."
STUDY_ENDED = "Your comparison or membership test was stopped because it was about the previous request."
STUDY_BUSY = "One of your comparisons or membership tests is running. Wait for it to finish, or stop it."
NO_EARLIER_MODEL = (
    "The lab no longer has the model as it was before this request, so nothing can be compared with it. Press Start over and forget again."
)
CHART_METHODS = "Test accuracy against seconds (log)"
CHART_GROWTH = "Clusters that hold the first n images"
GROWN = {"adaptive": "clustered by similarity", "random": "random shards", "spread": "spread on purpose"}
REACH_TITLE = "Where the saving comes from"
LEAD_REACH = "This computes sizes only and trains nothing. It follows your selection."
EMPTY_REACH = "Select pictures to see which clusters they touch under each clustering."
REACHES = {
    "adaptive": ("Clustered by similarity", "your request, with this model's clusters"),
    "random": ("Random shards", "your request, with the same number of random shards"),
    "spread": (
        "Spread on purpose",
        "the same number of pictures, none of which shaped a cluster, spread over as many of this model's clusters as possible",
    ),
}
FORGOTTEN_FOR_GOOD = (
    "This workspace has forgotten the pictures permanently, so no other method can be trained on them for comparison. Start the page "
    "without --workspace to compare methods."
)


CAPACITY_TITLE = "How many deletions pay"
LEAD_CAPACITY = "A copy of your model forgets random images, one after another, until that has taken as long as training it anew."
RUN_CAPACITY = "Count them"
CAPACITY_INFO = "Your model stays as it is. This takes up to about a minute and a half."
CAPACITY_BEGINS = "Starting with a copy of the model"
NO_FULL_TIME = "Full retraining was not measured on this machine yet. Run it on the Result tab first."
NO_COPY = "This workspace has one model for everyone and keeps no copies. Use: python -m core bench capacity."
CHART_CAPACITY = "Seconds in total, by images forgotten"


def capacity_line(full: float) -> str:
    """Return the name of the line that deletions reach in the end."""
    return f"full retraining, {seconds(full)}"


def capacity(spent) -> str:
    """Return what deletions have cost beside full retraining: `spent` has `seconds` of each, `full`, `deletions`, `exhausted`, `over`."""
    n, taken = len(spent.seconds), sum(spent.seconds)
    if spent.exhausted:
        return f"{count(spent.deletions, 'image')} went before that had taken as long as full retraining ({seconds(spent.full)})."
    words = f"{count(n, 'image')} took {seconds(taken)}, {share(taken / spent.full)} of full retraining ({seconds(spent.full)})."
    return f"{words} At this pace some {int(spent.full / taken * n):,} cost as much." if spent.over and taken else words


def compared(rows: Sequence[dict]) -> str:
    """Return the comparison for screen readers."""
    lines = [f"{METHODS[r['method']][0]}: {seconds(r['seconds']['total'])}, test accuracy {share(r['accuracy']['test'])}." for r in rows]
    return " ".join(lines) or EMPTY_COMPARE


def clusters_add(rows: Sequence[dict]) -> str:
    """Return what the clusters add to the closed form alone, once both have answered."""
    test = {row["method"]: row["accuracy"]["test"] for row in rows}
    mine, alone = test.get("LMEraser"), test.get("closed form only")
    if mine is None or alone is None:
        return ""
    points = 100 * (mine - alone)
    if abs(points) < 0.05:
        return (
            f"The clusters add nothing here to one linear classifier that forgets by subtraction: both have {share(alone)} on test images."
        )
    verdict = f"add {points:.1f} points to" if points > 0 else f"lose {-points:.1f} points against"
    return f"The clusters {verdict} one linear classifier that forgets by subtraction ({share(mine)} and {share(alone)} in test)."


def method_cells(row: dict) -> list[tuple[str, str]]:
    """Return one method's figures, each with a small second line."""
    accuracy, attack, times = row["accuracy"], row["attack"], row["times_lmeraser"]
    against = "" if times is None or row["method"] == "LMEraser" else against_lmeraser(times)
    area = "–" if attack["auc"] is None else f"{attack['auc']:.2f}"
    spread = "" if attack["auc"] is None else "{:.2f} to {:.2f}".format(*attack["auc_interval"])
    figures = [(share(accuracy[k]), "") for k in ("test", "retained", "forgotten")]
    return [(seconds(row["seconds"]["total"]), against), (f"{row['sample_passes']:,}", ""), *figures, (area, spread)]


def against_lmeraser(times: float) -> str:
    """Return who is faster; `times`: a method's seconds in those of LMEraser."""
    if times >= 1.05:
        return f"LMEraser is {ratio(times)} faster"
    return f"{ratio(1 / times)} faster than LMEraser" if 0 < times <= 1 / 1.05 else "as fast as LMEraser"


def compare_badge(facts: dict[str, str], when: str) -> str:
    """Return where and when the comparison was measured."""
    cores = f", {facts['cores']} cores" if "cores" in facts else ""
    return f"Measured in this session on this machine ({facts['processor']}{cores}), {when}"


def comparing(method: str, number: int, total: int, stage: str) -> str:
    """Return what a comparison is doing."""
    doing = {"fit": "is training first (not counted)", "forget": "is forgetting", "score": "is being scored (not counted)"}[stage]
    return f"{METHODS[method][0]} ({number} of {total}) {doing}"


def reach_of(images: int, selected: bool) -> str:
    """Return which request the clusterings are compared for."""
    return f"{'Your selection' if selected else 'Your last request'}: {count(images, 'image')}"


def reach_figures(reach) -> list[tuple[str, str]]:
    """Return the figures of one clustering."""
    part = f" ({100 * reach.retrain / reach.remain:.0f}\u00a0%)" if reach.remain else ""
    return [
        (f"of {reach.clusters:,} clusters touched", f"{len(reach.touched):,}"),
        (f"samples to retrain{part}", f"{reach.retrain:,}"),
        ("expected training", seconds(reach.seconds)),
    ]


def reach_spoken(title: str, reach) -> str:
    """Return one clustering for screen readers."""
    return f"{title}: {len(reach.touched):,} of {count(reach.clusters, 'cluster')} touched, {reach.retrain:,} samples to retrain."


def reach_verdict(found) -> str:
    """Return what the comparison of clusterings shows for this request."""
    if found.images == 1:
        return "One picture touches one shard in either case, or a few clusters if it helped to shape them. Select several that look alike."
    mine, theirs = found.adaptive, found.random
    if len(mine.touched) < len(theirs.touched):
        return "Pictures that look alike share clusters, so fewer retrain than at random. The wider a request is spread, the less is saved."
    if mine.retrain < theirs.retrain:
        more = "More clusters are touched than" if len(mine.touched) > len(theirs.touched) else "As many clusters are touched as"
        return f"{more} at random, but smaller ones, so fewer samples retrain."
    return "These pictures are spread out or helped to shape the clusters, so clustering saves nothing over random shards here."
