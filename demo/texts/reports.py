"""Reports as HTML files: a visitor's requests (demo/reports/request_report.py) and benchmarks (demo/reports/bench_report.py)."""

from __future__ import annotations

from demo.texts.formats import count
from demo.texts.status import TITLE

REPORT, TAKE_HOME = "Report as HTML", "Take the model home"
REPORT_FORGOTTEN, REPORT_ACCURACY, REPORT_TIME = "What was forgotten", "Accuracy, before and after", "Time"
REPORT_PROOF, REPORT_ALL, REPORT_RECEIPTS = "Proof", "All requests", "Receipts"
REPORT_COMPARE, REPORT_MEMBERSHIP, REPORT_RESIDUE = "Compared with other methods", "Membership test", "Search for residue"
REPORT_MACHINE = "Seed, versions, hardware"
REPORT_IMAGES, REPORT_NUMBERS, REPORT_COPIES = "Images", "Their numbers on the map", "Identical copies that stay"
REPORT_CLUSTERS, REPORT_UNTOUCHED, REPORT_SAMPLES = "Clusters retrained", "Untouched clusters", "Samples retrained"
REPORT_ACCURACY_HEAD = ("Images", "Before", "After", "How many")
REPORT_CLASS_HEAD = ("Class (test images)", "Before", "After")
REPORT_ALL_HEAD = ("#", "Images", "Clusters retrained", "Sample passes", "Time", "Root after", "Proof")
REPORT_MODEL, REPORT_SEED, REPORT_BACKBONE = "Model", "Seed", "Frozen weights (SHA-256)"
REPORT_VERSION, REPORT_HARDWARE = "Version:", "Hardware:"
REPORT_LIMITS = (
    "The proof holds for this kind of device and these versions. It does not cover copies elsewhere, what the model's earlier answers "
    "revealed, or what comparing answers before and after can reveal."
)
REPORT_RECEIPTS_INFO = "Each receipt contains the hash of the previous one. Save one as a file to check it in the page's Ledger tab."
CHART_REQUESTS = "Seconds of each request"


def report_title(images: int, kind: str) -> str:
    """Return the report's title, as the verdict of the last request allows."""
    return f"{count(images, 'image')} {'not forgotten exactly' if kind == 'different' else 'forgotten'}"


def report_lead(model: str, written: str) -> str:
    """Return the line under the report's title."""
    return f"{TITLE}, {model}. Written {written}. It contains numbers only: no pictures, no names."


BENCH_TITLE = "Unlearning methods compared"
BENCH_INTRO = (
    "{samples:,} images of {dataset} in {clusters} clusters. Every method got the same requests on a private copy of its model, on one "
    "machine in one run."
)
BENCH_ACCURACY = "Accuracy and time"
BENCH_ACCURACY_NOTE = (
    "Each point is one request: seconds it took (logarithmic) and accuracy on test images afterwards. Up and left is better."
)
BENCH_SECONDS = "Seconds by request"
BENCH_SECONDS_NOTE = (
    "Setup, planning and training of each request, without evaluation, on a logarithmic scale; median where it was repeated."
)
BENCH_ATTACK = "Attack: can a forgotten image be told from one never seen?"
BENCH_ATTACK_NOTE = (
    "Area under the ROC curve of the loss threshold, with its 95 % interval; 0.5 = guessing. Few forgotten images give wide "
    "intervals. For an exact method, the value is that of a model that never saw the images, however high it is."
)
BENCH_TABLE = "All figures"
BENCH_TABLE_NOTE = "Medians, with the smallest and largest in brackets where a request was repeated."
BENCH_X_SECONDS, BENCH_Y_SECONDS = "Seconds of the request", "Seconds"
BENCH_Y_ACCURACY, BENCH_Y_ATTACK = "Test accuracy, %", "Attack score (0.5 = guessing)"
BENCH_BEST = "Fastest: {fast} with {seconds} (median over the requests). Most accurate: {right} with {accuracy:.1f} %."
BENCH_FACTS = ("Seed", "Repeats", "Hardware", "Versions", "Commands")
BENCH_USAGE = "Draw the result of `python -m core bench unlearn --json` as one HTML file that needs no network."
BENCH_BAD = "{file} cannot be drawn ({reason}). Give the JSON that `python -m core bench unlearn --json` printed."
BENCH_UNWRITABLE = "{file} cannot be written ({reason}). Choose a file in a folder that you may write to."
