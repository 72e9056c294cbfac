"""Every sentence a person sees. Words and number formats only: no markup, no handlers, no figures computed."""

from __future__ import annotations

TITLE = "LMEraser Lab"
TAGLINE = "Pick any picture a model has learned. Make the model forget it, in seconds, and see the proof."

MAP = {
    "many": "# selected",
    "none": "",
    "color_by": "Color by",
    "tools": "Map tools",
    "shape": "Selection tool",
    "lasso": "Lasso: draw around points",
    "box": "Box: drag a rectangle",
    "pan": "Move: drag the map",
    "operation": "How a new selection combines with the old one",
    "replace": "Replace",
    "add": "Add",
    "remove": "Remove",
    "common": "Intersect",
    "zoom": "Zoom",
    "zoom_in": "Zoom in",
    "zoom_out": "Zoom out",
    "zoom_fit": "Show everything",
    "stage": "Map of the private training images. Draw around points to select them. Arrow keys move, plus and minus zoom, 0 shows all, "
    "Escape clears. To select by keyboard, use “Choose without the map”.",
    "hint": "Draw around points. Shift adds, Alt removes, Esc clears.",
    "loading": "Placing the pictures",
    "failed": "The map could not be loaded. Reload the page.",
    "legend": "Legend. A button hides or shows its group; All shows or hides every group.",
    "all": "All",
}
SCHEMES = {"class": "Class", "cluster": "Cluster", "correct": "Correct?", "subject": "Subject"}
CORRECT = ("Correct", "Wrong")
CLUSTER = "Cluster {}"

REQUEST_TITLE = "Your request"
TRAY_EMPTY = "Nothing selected yet."
TRAY_HINT = "Each point is one picture the model has learned. Draw around a few on the map, or choose without it."
TRAY_LABEL = "Selected images"
REMOVE = "Remove image {} from the selection"
CHOOSE = "Choose without the map"
CLASSES = "Classes"
SUBJECT = "Everything from one subject"
NUMBERS = "Sample numbers"
NUMBERS_HINT = "3, 17, 200-240"
NUMBERS_INFO = "Numbers and ranges, from 0 to {:,}"
SELECT = "Select these"
CLEAR = "Clear"
FORGET = "Forget"
CANCEL = "Cancel"
START_OVER = "Start over"
INCLUDE_COPIES = "Include the copies"

# The top bar, the small actions of a selection, links and files
TABS = ("result", "methods", "clusters", "proof", "ledger", "how-it-works", "lesson")  # the tabs' names in an address
DATASET, PRESET = "Data set", "Preset"
PICKERS = "What the model is made of"
LINK, LINK_COPIED, LINK_SHOWN = "Copy link", "Link copied", "Link is in the address bar"
ACTIONS = "Add to the selection"
SIMILAR = "10 most similar"
SIMILAR_INFO = "Add the 10 images that look most like these to the public model"
SAVE, SAVE_INFO = "Save", "Save the selection as a file"
OPEN_FILE, OPEN_INFO = "Open a saved selection", "Select what an earlier page saved. The file is read in your browser; it is not kept here."
SAVED_NAME = "lmeraser-selection-{}.json"
RANDOM, RANDOM_COUNT, RANDOM_SEED, DRAW = "Random images", "How many", "Seed", "Draw"
RANDOM_INFO = "Repeats a draw"
NOT_OFFERED = "“{}” is not on offer here. You see this page instead; on offer: {}."
NOTHING_OFFERED = "0 models are on offer. Name at least one data set and one preset."
OFFERED_TWICE = "Two data sets would share the page “/{}”. Give their folders different names."
BAD_NUMBER = "{} is {}; give {}."
BAD_LINK = "This link says {}={}, which is not {}. It was left out."
LINK_TOO_LONG = "This selection is too long for a link ({:,} characters, at most {:,}). Save it as a file instead."
NONE_LIKE_IT = "There are no other images left to add."
FILE_JSON = "This file is no selection: it begins with {} instead of JSON. Open a file that “Save” made."
FILE_FORMAT = "This file says format {} version {}; this page reads {} version {}. Open a file that “Save” made."
FILE_DATASET = "This selection was made on data set {}, but this page shows {!r}. Choose that data set above, then open the file."
FILE_DATA = "This selection counts other images than this page: {!r} with {:,} images is not the same set. Save it anew here."
FILE_ROWS = "This file names {} rows; give a list of at most {:,}."
FILE_ROW = "{} in this file is not a row number from 0 to {:,}. Mend or remove it, then open the file again."


def file_too_large(size: int, most: int) -> str:
    """Return what to do with a selection file that is too large; sizes in bytes."""
    return f"This file has {size:,} bytes; a selection has at most {most:,}. Open a file that “Save” made."


def whole(least: int, most: int) -> str:
    """Return the words for a range of whole numbers."""
    return f"a whole number from {least:,} to {most:,}"


def one_of(names: tuple[str, ...]) -> str:
    """Return the words for a choice."""
    return f"one of {', '.join(names)}"


def group(scheme: str, names: list[str], more: int) -> str:
    """Return the words of an action that adds what is left of some groups: "class 3 (+139)" or "3 classes (+420)"."""
    what = f"{GROUPS[scheme][0]} {names[0]}" if len(names) == 1 else f"{len(names):,} {GROUPS[scheme][1]}"
    return f"{what} (+{more:,})"


GROUPS = {"class": ("class", "classes"), "cluster": ("cluster", "clusters"), "subject": ("subject", "subjects")}


def group_info(scheme: str) -> str:
    """Return what adding groups does, for the tooltip."""
    return f"Add everything that is in the same {GROUPS[scheme][0]} as a selected image"


PLAN_EMPTY_TITLE = "What it would take"
PLAN_EMPTY = "Before anything runs, you see here which clusters retrain and how long it takes."
PLAN_WAIT = "You can select already. The preview appears when the model is ready."
WORKING = "Forgetting"
CANCELLING = "Stopping at the next step…"
CANCELLED = "Cancelled. The model is exactly as it was."

TAB_RESULT, TAB_CLUSTERS, TAB_PROOF, TAB_LEDGER, TAB_HOW, TAB_LESSON = "Result", "Clusters", "Proof", "Ledger", "How it works", "Lesson"
LEAD_RESULT = "What forgetting cost, and what it did to the model."
LEAD_CLUSTERS = "Every cluster has its own small prompt and classifier, so a request retrains only the clusters it touches."
LEAD_PROOF = "A model has a fingerprint, its root. If forgetting is exact, it equals that of a model that never saw the pictures."
LEAD_LEDGER = "Your requests so far, in order, and what they cost together."
LEAD_LESSON = "Five short steps. Predict first: your answer reveals what happens."
PRINT = "Print as a worksheet"
SHEET_TITLE, SHEET_NAME, SHEET_DATE, SHEET_WHY = "LMEraser Lab: worksheet", "Name", "Date", "Why do you think so?"
LESSON_RIGHT = "Right."
LESSON_WRONG = "Not quite."
LEAD_HOW = "Forgetting is fast because no cluster knows about any other."
EMPTY_RESULT = "No request yet. Select a few pictures, press Forget, and the result appears here."
EMPTY_PROOF = "Forget something first. Then retrain from scratch without it, and compare."
EMPTY_LEDGER = "No requests yet."
EMPTY_CLUSTERS = "The clusters appear when the model is ready."

RUN_FULL = "Run full retraining now"
RUN_FULL_INFO = (
    "Trains a new model from nothing on what remains. It measures full retraining on this machine and is the clean room of the proof."
)
STOP_FULL = "Stop"
DOWNLOAD_JSON, DOWNLOAD_CSV = "Results as JSON", "Results as CSV"

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
CHART_SIZES = "Images in each cluster, largest first; those that retrained last are green"
ROOT_BEFORE, ROOT_AFTER, ROOT_CLEAN = "Before", "After forgetting", "Trained from scratch without them"
SEE_RESULT = "See accuracy, time and proof"
NOT_RUN = "not run yet"
PROOF_EQUAL = "Equal, bit for bit"
PROOF_DIFFERENT = "Not equal"
PROOF_OPEN = "Waiting for the clean room"
PROOF_EQUAL_INFO = "The model after forgetting is the very model that training without these pictures gives. Nothing of them is left in it."
PROOF_DIFFERENT_INFO = "The two models differ. This must not happen: the request did not forget exactly."
PROOF_OPEN_INFO = "Run full retraining to train a model that never saw these pictures, from an empty store, and compare fingerprints."
VERDICTS = {
    "equal": (PROOF_EQUAL, PROOF_EQUAL_INFO),
    "different": (PROOF_DIFFERENT, PROOF_DIFFERENT_INFO),
    "open": (PROOF_OPEN, PROOF_OPEN_INFO),
}

LEDGER_HEAD = ("#", "Images", "Clusters retrained", "Samples retrained", "Seconds", "Root after")
CLUSTERS_HEAD = ("Cluster", "Images", "Most frequent class", "Training loss", "State")
STATE_SAME, STATE_NEW = "unchanged", "retrained"

SESSION_OVER = "This page's session has ended. Reload the page to start again; nothing else is lost."
ERROR_TITLE = "That did not work"
NOT_READY = "The model is not ready yet. Wait until training on this machine is done."
NOTHING_SELECTED = "Select at least one image first."
NOTHING_FORGOTTEN = "Forget something first, then run full retraining to compare."
BUSY = "A request of yours is already running. Wait for it, or cancel it."
FIT_FAILED = "The model could not be trained: {}"
BAD_NUMBERS = "“{}” is not a number or a range. Write numbers from 0 to {:,}, such as 3, 17, 200-240."
GONE_NUMBERS = "{} of these pictures are already forgotten and were left out."
STAGES = {
    "map": "Placing every picture on the map, once",
    "turn": "Another data set is being trained first",
    "open": "Reading the public model",
    "features": "Looking at every picture once",
    "train": "Training",
    "evaluate": "Measuring accuracy",
}

HOW_STEPS = (
    ("A public model, frozen", "It was trained on public pictures only. It never changes, so it holds nothing private."),
    ("Private pictures, in clusters", "Pictures that look alike to the public model are put together."),
    ("One prompt per cluster", "Each cluster tunes a small prompt and a classifier of its own, from its own pictures alone."),
    ("Forget", "Delete the pictures. Retrain the clusters that held them. All others stay as they are, bit for bit."),
)


def count(n: int, one: str, many: str | None = None) -> str:
    """Return "1 image" or "1,234 images"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def seconds(value: float) -> str:
    """Return a duration as people say it: 0.62 s, 21 s, 3 min 20 s."""
    if value < 10:
        return f"{value:.2g} s" if value < 1 else f"{value:.1f} s"
    if value < 120:
        return f"{value:.0f} s"
    return f"{int(value // 60)} min {int(value % 60)} s"


def percent(value: float) -> str:
    """Return an accuracy with one decimal; value in 0..1."""
    return f"{100 * value:.1f} %"


def card(row: int, label: str, lines: list[str]) -> tuple[str, list[str]]:
    """Return the title and lines of the card shown when hovering over a picture."""
    return f"{label}", [f"No. {row:,}", *lines]


def plan(s: dict) -> str:
    """Return the preview sentence; `s` is `ForgetPlan.summary()` with `clusters_holding`: how many clusters hold the images."""
    if s["samples_total"] == s["images"]:
        return f"All {count(s['images'], 'image')}. The model will be empty."
    held, total = s["clusters_holding"], s["clusters_total"]
    where = f"{count(s['images'], 'image')} in {held:,} of {count(total, 'cluster')}."
    shaped = " Some of them shaped the clusters, so more retrain." if s["clusters_touched"] > held else ""
    share = f"{s['samples_to_retrain']:,} of {s['samples_total']:,} samples"
    verb, stay = "retrains" if s["clusters_retrained"] == 1 else "retrain", s["clusters_untouched"]
    prompts = f"{count(s['clusters_retrained'], 'prompt')} {verb} ({share})"
    return f"{where}{shaped} {prompts}, {stay:,} {'stays' if stay == 1 else 'stay'} untouched."


def plan_time(s: dict) -> str:
    """Return the predicted times in words, and how sure they are."""
    return f"{_expected(s)}; full retraining about {seconds(s['predicted_full_seconds'])}."


def _expected(s: dict) -> str:
    if not s["measured_clusters"]:
        return f"Time: {NOT_MEASURED_TIME} on this machine"
    about = f"About {seconds(s['predicted_seconds'])}"
    low, high = (seconds(value) for value in s["predicted_range"])
    return about if low == high else f"{about} ({low} to {high}, judged by {count(s['measured_clusters'], 'cluster')} trained here)"


def plan_figure(s: dict) -> str:
    """Return the predicted time alone."""
    return seconds(s["predicted_seconds"]) if s["measured_clusters"] else NOT_MEASURED_TIME


NOT_MEASURED_TIME = "not measured yet"


def copies(n: int) -> str:
    """Return the warning about identical copies that would stay."""
    return f"{count(n, 'identical copy', 'identical copies')} of your selection would stay in the model."


def forget_button(n: int) -> str:
    """Return the button's words for a selection of n."""
    return f"Forget {count(n, 'image')}" if n else FORGET


def fitting(done: int, total: int, stage: str) -> str:
    """Return what the first training is doing."""
    words = STAGES.get(stage, stage)
    if stage == "train" and total:
        return f"First start: training {count(total, 'cluster')} on this machine"
    return words


FIT_NOTE = "This run is timed: it is this machine's measured full retraining. Look around and select meanwhile."


def ready(samples: int, clusters: int) -> str:
    """Return the status of a model that can be asked."""
    return f"Ready. {count(samples, 'private image')} in {count(clusters, 'cluster')}."


def measured(value: float, day: str, here: bool) -> str:
    """Return the badge of a full retraining's time: from this session, or stored."""
    return f"Full retraining {seconds(value)}, measured on this machine {'in this session' if here else 'on ' + day}"


NOT_MEASURED = "Full retraining not measured here yet"


def working(done: int, total: int, stage: str) -> str:
    """Return what a running request is doing."""
    return f"Retraining cluster {min(done + 1, total):,} of {total:,}" if stage == "train" and total else STAGES.get(stage, stage)


def training(done: int, total: int, stage: str) -> str:
    """Return what a running full retraining is doing."""
    return f"Training from scratch: {done:,} of {count(total, 'cluster')}" if stage == "train" and total else STAGES.get(stage, stage)


def waiting(ahead: int) -> str:
    """Return the position in the queue."""
    return "Your turn is next" if ahead <= 1 else f"{ahead:,} requests are ahead of yours"


def headline(images: int, taken: float, full: float | None) -> str:
    """Return the result in one sentence."""
    gone = f"{count(images, 'image')} forgotten in {seconds(taken)}."
    return gone if not full else f"{gone} Full retraining takes {seconds(full)}: {ratio(full / max(taken, 1e-9))} as long."


def ratio(x: float) -> str:
    """Return "35 times" or "1.4 times"."""
    return f"{x:,.0f} times" if x >= 10 else f"{x:.1f} times"


def result_summary(reports: dict[str, tuple[str, str]], taken: float, full: float | None) -> str:
    """Return the result for screen readers."""
    parts = [f"{ACCURACY[k]}: {before} before, {after} after." for k, (before, after) in reports.items()]
    return " ".join(parts) + f" This request took {seconds(taken)}." + (f" Full retraining took {seconds(full)}." if full else "")


def passes(request: int, full: int) -> str:
    """Return the saving without a clock: sample passes of request and full retraining."""
    saved = f"{100 * (1 - request / full):.1f} % saved" if full else ""
    return f"{request:,} sample passes instead of about {full:,}: {saved}."


def untouched(same: int, total: int) -> str:
    """Return whether untouched clusters kept their bytes."""
    if same == total:
        return f"All {count(total, 'untouched cluster')} kept every byte."
    return f"{total - same:,} of {count(total, 'untouched cluster')} changed. This must not happen."


def ledger_total(requests: int, images: int, taken: float, full: float | None) -> str:
    """Return the ledger's sum."""
    words = f"{count(requests, 'request')}, {count(images, 'image')} forgotten, {seconds(taken)} in total."
    return words if not full else f"{words} Retraining fully each time: about {seconds(full * requests)}."


def how_note(clusters: int, touched: int) -> str:
    """Return the line under the figure, about the visitor's own data."""
    if touched:
        return f"Your selection touches {touched:,} of {count(clusters, 'cluster')}; they are filled in the figure."
    return f"Your model has {count(clusters, 'cluster')}. Select pictures, and those that would retrain are filled in the figure."


def lesson(clusters: int, samples: int, full: float | None) -> list[dict]:
    """Return the five steps: title, what to do, question, options, index of the right one, and what is revealed."""
    cells = count(clusters, "cluster") if clusters else "many clusters"
    pictures = count(samples, "picture") if samples else "many pictures"
    long = f" Here it took {seconds(full)}." if full else ""
    return [
        {
            "title": "What is in the model?",
            "do": "Point at a few dots on the map. Each is a picture the model learned from.",
            "ask": "Someone deletes the file of one picture. Does the trained model still carry traces of it?",
            "options": ("No, the file is gone", "Yes, training has used it", "Only if the model is copied"),
            "right": 1,
            "reveal": "Training turned the picture into small changes of the model's numbers. Deleting the file leaves them there.",
        },
        {
            "title": "Why is retraining slow?",
            "do": "Read the line above the map: it says how long full retraining takes on this machine.",
            "ask": f"The model learned {pictures}. To be rid of one, how many must an ordinary model learn again?",
            "options": ("One", "About half", "All but one"),
            "right": 2,
            "reveal": f"Every picture shaped the whole model, so the only safe way is to start again with all the others.{long}",
        },
        {
            "title": "One cluster at a time",
            "do": "Select a single picture and read the preview. Do not press Forget yet.",
            "ask": f"The pictures lie in {cells}, each trained alone. How many must retrain for one picture?",
            "options": ("One, sometimes a few", "Half of them", "All of them"),
            "right": 0,
            "reveal": "Usually one. If the picture helped to shape the clusters, a few more. Press Forget and compare the two times.",
        },
        {
            "title": "The worst case",
            "do": "Choose Add beside the tools, and click pictures in many different places.",
            "ask": "You select a few pictures in every cluster. How much time is saved now?",
            "options": ("Just as much as before", "Almost nothing", "Twice as much"),
            "right": 1,
            "reveal": "Every cluster retrains, so the saving is gone. It comes from requests that touch few clusters.",
        },
        {
            "title": "How do we know it forgot?",
            "do": "Open Proof after a request, and run full retraining.",
            "ask": "The model guesses the forgotten picture's class correctly. Has it forgotten?",
            "options": ("No, it must guess wrong", "It may have: it can guess new pictures too", "Nobody can know"),
            "right": 1,
            "reveal": "A good model is right about pictures it never saw. The proof is the root: it equals that of a model never shown it.",
        },
    ]
