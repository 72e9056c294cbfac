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
    "busy": "Nothing can be selected while the model works.",
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
LINK_SELECTION = "This link's selection was left out. {}"
BAD_LINK = "This link says {}={}, which is not {}. It was left out."
LINK_TOO_LONG = "This selection is too long for a link ({:,} characters, at most {:,}). Save it as a file instead."
NONE_LIKE_IT = "There are no other images left to add."
FILE_JSON = "This file is no selection: it begins with {}, and JSON ends or breaks in line {}. Open a file that “Save” made."
FILE_EMPTY = "This file is empty. Open a file that “Save” made."
FILE_OTHER = "This file is no saved selection. Open a file that “Save” made."
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
LEAD_LEDGER = "Every request so far, what it cost, and its receipt: keep it, and check later that nothing was rewritten."
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

CLUSTERS_HEAD = ("Cluster", "Images", "Most frequent class", "Training loss", "State")
STATE_SAME, STATE_NEW = "unchanged", "retrained"

SERVER_GONE = "The program behind this page does not answer. Start it again, then reload the page; unfinished work of this page is lost."
SERVER_ANEW = "The program behind this page was started anew. Reload the page to go on."
SESSION_OVER = "This page's session has ended. Reload the page to start again; nothing else is lost."
ERROR_TITLE = "That did not work"
NOT_READY = "The model is not ready yet. Wait until training on this machine is done."
NOTHING_SELECTED = "Select at least one image first."
NOTHING_FORGOTTEN = "Forget something first, then run full retraining to compare."
BUSY = "A request of yours is already running. Wait for it, or cancel it."
FIT_FAILED = "The model could not be trained: {}"
BAD_NUMBERS = "“{}” is not a number or a range. Write numbers from 0 to {:,}, such as 3, 17, 200-240."
BAD_ROW = "rows holds {}; give numbers from 0 to {:,}."
GONE_ROWS = "{:,} of these rows are forgotten already (first: {:,}). List the images that are left, and ask again; nothing was changed."
API_SESSION_OVER = "There is no such session, or it has ended. Open one with /open."
API_NOT_OFFERED = "“{}” is not on offer; there is: {}."
BAD_ROWS = "rows is {}; give a list of numbers from 0 to {:,}."
BAD_RANGE = "“{}” is not among the numbers from 0 to {:,}. Choose smaller ones."
BAD_ORDER = "“{}” runs backwards. Write the smaller number first."
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
    (
        "Forget",
        "Delete the pictures. Retrain the clusters that held them, or that they helped to shape. All others stay as they are, bit for bit. "
        "What all pictures add up to in common is a sum, and they are subtracted from it.",
    ),
)


def gone_numbers(n: int) -> str:
    """Return that some of the pictures asked for cannot be selected any more."""
    return f"{count(n, 'picture')} of these {'is' if n == 1 else 'are'} already forgotten and {'was' if n == 1 else 'were'} left out."


def count(n: int, one: str, many: str | None = None) -> str:
    """Return "1 image" or "1,234 images"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def seconds(value: float) -> str:
    """Return a duration as people say it: 0.62 s, 21 s, 3 min 20 s."""
    if value < 10:
        return "under 0.01 s" if 0 < value < 0.01 else f"{value:.2g} s" if value < 1 else f"{value:.1f} s"
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
    gone = total - stay - s["clusters_retrained"]
    dissolved = f", {gone:,} {'dissolves' if gone == 1 else 'dissolve'}" if gone > 0 else ""
    return f"{where}{shaped} {prompts}{dissolved}, {stay:,} {'stays' if stay == 1 else 'stay'} untouched."


def plan_time(s: dict) -> str:
    """Return the predicted times in words, and how sure they are."""
    return f"{_expected(s)}; full retraining about {seconds(s['predicted_full_seconds'])}."


def _expected(s: dict) -> str:
    if not s["measured_clusters"]:
        return f"Time: {NOT_MEASURED_TIME} on this machine"
    about = seconds(s["predicted_seconds"])
    about = about.capitalize() if about.startswith("under") else f"About {about}"
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


def ready(samples: int, clusters: int, forgotten: int) -> str:
    """Return the status of a model that can be asked."""
    gone = f" {forgotten:,} forgotten." if forgotten else ""
    return f"Ready. {count(samples, 'private image')} in {count(clusters, 'cluster')}.{gone}"


def measured(value: float, day: str, here: bool) -> str:
    """Return the badge of a full retraining's time: from this session, or stored."""
    return f"Full retraining {seconds(value)}, measured on this machine {'in this session' if here else 'on ' + day}"


def judged(value: float, day: str, here: bool, images: int, remain: int) -> str:
    """Return the badge of a time that was judged by another full retraining."""
    when = "in this session" if here else "on " + day
    scaled = "" if images == remain else f"; judged for the {remain:,} that remain"
    return f"Full retraining of {count(images, 'image')} {seconds(value)}, measured on this machine {when}{scaled}"


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


def headline(images: int, taken: float, full: float | None, measured: bool) -> str:
    """Return the result in one sentence; `full` is the time of full retraining on what remains, measured or judged."""
    gone = f"{count(images, 'image')} forgotten in {seconds(taken)}."
    about = "takes" if measured else "would take about"
    return gone if not full else f"{gone} Full retraining {about} {seconds(full)}: {ratio(full / max(taken, 1e-9))} as long."


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
    if not total:
        return "No cluster was left untouched."
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


# --- ledger, receipts, report, workspace ------------------------------------------------------------------------------

LEDGER_HEAD = ("#", "Receipt", "Images", "Clusters retrained", "Sample passes", "Time", "Root after", "Done")
LEDGER_NUMBERS = (0, 2, 3, 4, 5)
RECEIPT = "Download"
CHECK, STOP_CHECK = "Check the chain", "Stop"
CHECKING = "Following every row and receipt, and making every state's digest anew"
REPLAYING = "Starting a clean process"
CHECK_STOPPED = "Stopped. Nothing was changed."
CHECK_GOOD, CHECK_BAD = "Everything holds", "Something was altered"
CHECK_INFO = (
    "The check follows the chain of receipts and makes every state's digest anew. "
    "A replay trains the last request's result from nothing, in another process."
)
CHECK_FILE = "Check a receipt file"
CHECK_FILE_INFO = "One receipt, or all as one file. It is read once and stored nowhere."
FILE_GOOD, FILE_BROKEN, FILE_REFUSED = "The receipts are intact", "Broken: not as it was handed out", "This file cannot be checked"
REPORT = "Report as HTML"
REPORT_FORGOTTEN, REPORT_ACCURACY, REPORT_TIME = "What was forgotten", "Accuracy, before and after", "Time"
REPORT_PROOF, REPORT_ALL, REPORT_RECEIPTS = "Proof", "All requests", "Receipts"
REPORT_MACHINE = "Seed, versions, hardware"
REPORT_IMAGES, REPORT_NUMBERS, REPORT_COPIES = "Images", "Their numbers on the map", "Identical copies that stay"
REPORT_CLUSTERS, REPORT_UNTOUCHED, REPORT_SAMPLES = "Clusters retrained", "Untouched clusters", "Samples retrained"
REPORT_ACCURACY_HEAD = ("Images", "Before", "After", "How many")
REPORT_CLASS_HEAD = ("Class (test images)", "Before", "After")
REPORT_ALL_HEAD = ("#", "Images", "Clusters retrained", "Sample passes", "Time", "Root after")
REPORT_MODEL, REPORT_SEED, REPORT_BACKBONE = "Model", "Seed", "Frozen weights (SHA-256)"
REPORT_VERSION, REPORT_HARDWARE = "Version:", "Hardware:"
REPORT_LIMITS = (
    "The proof holds for this kind of device and these versions. It says nothing of copies elsewhere, of what was seen in the model's "
    "answers before, or of someone who compares answers before and after."
)
REPORT_RECEIPTS_INFO = "Each receipt holds the hash of the one before. Save one as a file, and the page's Ledger tab checks it."
CHART_REQUESTS = "Seconds of each request"
TOO_MANY_ROWS = "{:,} rows were given; the model was made of {:,} images. Name each once."
MODEL_CHANGED = "Another visitor's request changed the model meanwhile. The preview is new: look at it, then press Forget again."
FOR_GOOD = "This model is kept in a workspace, where forgetting is for good. There is no way to start over."


def kept(name: str) -> str:
    """Return the line that says whose model a page with a workspace changes."""
    return f"This page changes the model in workspace “{name}” for everyone. Forgetting is for good: there is no starting over."


def of(part: int, whole: int) -> str:
    """Return "3 of 67"."""
    return f"{part:,} of {whole:,}"


def receipt_label(request: int) -> str:
    """Return a receipt link's full name."""
    return f"Download the receipt of request {request:,}"


def all_receipts(n: int) -> str:
    """Return the words of the link to all receipts."""
    return f"All {n:,} receipts as one file" if n > 1 else "The receipts as one file"


def withdrawn(n: int) -> str:
    """Return how many requests were cancelled, if any."""
    return f"{count(n, 'request was', 'requests were')} cancelled; the numbers skip {'it' if n == 1 else 'them'}." if n else ""


def replay_button(request: int | None) -> str:
    """Return the words of the button that replays the last request."""
    return f"Replay request {request:,}" if request else "Replay the last request"


def replay_title(request: int, good: bool) -> str:
    """Return a replay's verdict."""
    return f"Request {request:,} replayed: {'equal, bit for bit' if good else 'not equal'}"


def replayed(root: str, taken: float) -> str:
    """Return what a replay did."""
    return f"A clean process trained for {seconds(taken)} on what remains. Its model has the same root, {root[:12]}…"


def verified(report: dict) -> list[str]:
    """Return what a check that found nothing wrong has looked at."""
    return [
        f"Chain intact: {count(report['receipts'], 'receipt')}, each following from the one before.",
        f"Ledger intact: {count(report['rows'], 'row')}, none altered, added or taken away.",
        f"Store intact: {count(report['states'], 'state')}, every digest recomputed; together they give the recorded root, "
        f"{report['root'][:12]}…",
        f"{count(report['samples'], 'sample')} in the model, as recorded.",
    ]


def report_title(images: int) -> str:
    """Return the report's title."""
    return f"{count(images, 'image')} forgotten"


def report_lead(model: str, written: str) -> str:
    """Return the line under the report's title."""
    return f"{TITLE}, {model}. Written {written}. It holds numbers only: no picture, no name."


def receipt_title(request: int) -> str:
    """Return a receipt's heading."""
    return f"Receipt of request {request:,}"


def more_problems(n: int) -> str:
    """Return the line that stands for what is not listed."""
    return f"and {n:,} more"


def receipts_too_large(size: int, most: int) -> str:
    """Return why a file was not read."""
    return f"It has {size:,} bytes; receipts have at most {most:,}. Choose a file as it was handed out."


def file_intact(n: int, last: int, root: str) -> str:
    """Return what a good receipt file holds."""
    which = f"{count(n, 'receipt')}, in an unbroken chain up to request {last:,}" if n > 1 else f"Receipt {last:,}, unaltered"
    return f"{which}. The model then had root {root[:12]}…"


def file_known(known: int, n: int) -> str:
    """Return how many of a file's receipts this page's ledger holds."""
    if known == n:
        return "This page's own ledger holds the same." if n == 1 else "This page's own ledger holds the very same ones."
    return f"{known:,} of {n:,} are in this page's own ledger; the others come from elsewhere."


# --- Methods, membership, prompts, probabilities ----------------------------------------------------------------------

TAB_METHODS = "Methods"
LEAD_METHODS = "The same request, put to other ways of forgetting, on this machine, now."
METHODS = {
    "LMEraser": ("LMEraser", "retrains the clusters that the request touches"),
    "full refit": ("Full refit", "everything again from nothing, on what remains"),
    "SISA": ("SISA", "equally many random shards that vote; retrains those touched"),
    "one prompt": ("One prompt on all data", "trained again on what remains"),
    "fine-tune on retained": ("Fine-tune on retained", "goes on with the rest, hoping the others fade"),
    "gradient ascent": ("Gradient ascent", "raises the loss on what must go"),
    "random labels": ("Random labels", "learns wrong labels for what must go"),
    "whole backbone": ("Whole backbone", "trains every weight again; takes minutes without a GPU"),
}
METHODS_CHOSEN = tuple(METHODS)[1:-1]
METHODS_PICK = "Compare LMEraser with"
METHODS_HEAD = ("Method", "Guarantee", "Seconds", "Sample passes", "Test", "Retained", "Forgotten", "Attack AUC")
METHODS_CAPTION = "Methods compared on your last request"
METHOD_WAITS = "waiting"
KINDS = {"exact": "exact", "approximate": "approximate"}
RUN_COMPARISON = "Run the comparison"
STOP = "Stop"
COMPARE_NONE = "Forget something first. Each method then gets the very same request."
COMPARE_INFO = (
    "Each method first learns the pictures as they were before your request; that is not counted. "
    "It uses the lab's own copy, so your model does not get them back."
)
COMPARE_PREPARING = "Getting the pictures and models ready"
COMPARE_STOPPED = "Stopped. What was measured stays."
EMPTY_METHODS = "Nothing compared yet. Results appear here one by one, as each method finishes."
STUDY_ENDED = "Your comparison or membership test was ended: it was about the request before this one."
STUDY_BUSY = "A comparison or membership test of yours is running. Wait for it, or stop it."
NO_EARLIER_MODEL = (
    "The lab no longer has the model as it was before this request, so nothing can be compared with it. Press Start over and forget again."
)
CHART_METHODS = "Test accuracy against seconds (log)"
CHART_GROWTH = "Clusters that hold the first n images"
GROWN = {"adaptive": "clustered by likeness", "random": "random shards", "spread": "spread on purpose"}
REACH_TITLE = "Where the saving comes from"
LEAD_REACH = "Only sizes are computed here; nothing is trained. Select pictures, and this follows."
EMPTY_REACH = "Select pictures on the map to see which clusters they touch under each clustering."
REACHES = {
    "adaptive": ("Clustered by likeness", "your request, with this model's clusters"),
    "random": ("Random shards", "your request, with equally many random shards"),
    "spread": ("Spread on purpose", "as many pictures that shaped no cluster, spread over as many of this model's clusters as there are"),
}

RUN_AUDIT = "Run the membership test"
AUDIT_TITLE = "Can an attacker still tell?"
LEAD_AUDIT = "A membership test guesses from the model's answers whether it ever learned a picture."
AUDIT_INFO = (
    "Attacks the model before, after, and one retrained without the pictures, with 16 small shadow models for each touched cluster."
)
FULL_STOPPED = "Stopped. Nothing was measured, and your model is as it was."
AUDIT_STOPPED = "Stopped. No result was kept."
AUDIT_OTHER_MODEL = "The tested model has another root than yours, so the test says nothing about it. Press Start over and forget again."
AUDIT_STAGES = {
    "request": "Forgetting in a private copy",
    "features": "Looking at every picture once",
    "control": "Training the control without the pictures",
    "shadows": "Training shadow models",
}
AUDIT_HEAD = ("Model", "AUC (95 % interval)", "Caught at false alarms", "Difference to control", "Verdict")
AUDIT_CAPTION = "Both attacks on three models"
AUDIT_MODELS = {"before": "Before", "after": "After", "control": "Never saw them"}
ATTACKS = {"likelihood ratio": "Likelihood ratio (LiRA)", "loss threshold": "Loss threshold"}
AUDIT_CAVEAT = (
    "A passed attack is no proof: a weak attack passes bad methods too. Equal roots are the proof; the test shows what they mean."
)
AUDIT_WEAK = "The {} attack could not even tell the model that still knew the pictures, so its other verdicts say little here."
PICK_ATTACK, PICK_MODEL = "Attack", "Model"
THRESHOLD_INFO = "Move the line. Whatever lies right of it, the attacker calls “learned”."
THRESHOLD_LABEL = "Threshold of the attack"
THRESHOLD = {
    "members": "Forgotten pictures",
    "others": "Pictures it never saw",
    "readout": "Caught # % of the forgotten, and wrongly accused # % of the unseen.",
}

RESIDUE_TITLE = "Is anything left?"
LEAD_RESIDUE = "A search, byte by byte, for everything that was derived from the forgotten pictures."
RUN_RESIDUE = "Search for residue"
RESIDUE_SEARCHING = "Searching files and memory"
RESIDUE_INFO = (
    "Searches your model and your temporary files. The lab's own model, which visitors start from, still holds the pictures, by right."
)
RESIDUE_INFO_KEPT = "Searches the workspace, temporary files and this process. The data set that the pictures came from is not part of it."
RESIDUE_CLEAN, RESIDUE_FOUND, RESIDUE_UNREAD = "Nothing is left", "Something is left", "Not all could be read"
RESIDUE_HEAD = ("Searched", "Files and buffers", "Megabytes")
RESIDUE_CAPTION = "Places that were searched"

PORTRAITS = "Retrained last"
PORTRAITS_INFO = "The earlier prompts are kept as these pictures only, and go with your next request or Start over."
PICTURES = {"before": "Before", "after": "After", "difference": "Difference"}
PICTURE_NOW = "Now"
PICTURE_KINDS = {
    "matrix": (
        "The prompt is no image: each row is one learned token, each cell one number of it. Blue is below zero, orange above. "
        "Training starts from fresh noise each time, so even one picture less changes every cell."
    ),
    "frame": "The prompt is a frame of pixels added to every image, shown around plain grey with its contrast raised.",
}
CLUSTER_PICK = "Look at a cluster"
NO_CLUSTER = "{} is not a cluster of this model. Choose one from 0 to {:,}."

ODDS = "What the model says about a forgotten picture"
ODDS_INFO = "Its probabilities before and after. The picture itself is deleted, so only its number and class are left to show."
ODDS_WAIT = "Asking the new model…"
ODDS_PICK = "Forgotten picture"
ODDS_TRUE = "true class"


FORGOTTEN_FOR_GOOD = (
    "This workspace has forgotten the pictures for good, so nothing can be given them again to compare with. "
    "Start the page without --workspace for that."
)


def compared(rows: list[dict]) -> str:
    """Return the comparison for screen readers."""
    lines = [f"{METHODS[r['method']][0]}: {seconds(r['seconds']['total'])}, test accuracy {share(r['accuracy']['test'])}." for r in rows]
    return " ".join(lines) or EMPTY_METHODS


def share(value: float | None) -> str:
    """Return an accuracy that may be missing."""
    return "–" if value is None else percent(value)


def method_cells(row: dict) -> list[tuple[str, str]]:
    """Return one method's figures, each with a small second line."""
    accuracy, attack, times = row["accuracy"], row["attack"], row["times_lmeraser"]
    longer = "" if times is None or row["method"] == "LMEraser" else f"{times:,.{1 if times < 10 else 0}f} × LMEraser"
    area = "–" if attack["auc"] is None else f"{attack['auc']:.2f}"
    spread = "" if attack["auc"] is None else "{:.2f} to {:.2f}".format(*attack["auc_interval"])
    figures = [(share(accuracy[k]), "") for k in ("test", "retained", "forgotten")]
    return [(seconds(row["seconds"]["total"]), longer), (f"{row['sample_passes']:,}", ""), *figures, (area, spread)]


def compare_badge(facts: dict[str, str], when: str) -> str:
    """Return where and when the comparison was measured."""
    cores = f", {facts['cores']} cores" if "cores" in facts else ""
    return f"Measured in this session on this machine ({facts['processor']}{cores}), {when}"


def comparing(method: str, number: int, total: int, stage: str) -> str:
    """Return what a comparison is doing."""
    doing = {"fit": "learns first (not counted)", "forget": "forgets", "score": "is being scored (not counted)"}[stage]
    return f"{METHODS[method][0]} ({number} of {total}) {doing}"


def stepped(words: str, done: int, total: int) -> str:
    """Return words with how far they are."""
    return f"{words}: {done:,} of {total:,}" if total else words


def reach_of(images: int, selected: bool) -> str:
    """Return which request the clusterings are compared for."""
    return f"{'Your selection' if selected else 'Your last request'}: {count(images, 'image')}"


def reach_figures(reach) -> list[tuple[str, str]]:
    """Return the figures of one clustering."""
    part = f" ({100 * reach.retrain / reach.remain:.0f} %)" if reach.remain else ""
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
    return "These pictures are spread out or helped to shape the clusters, so likeness saves nothing over random shards here."


def audit_summary(record: dict) -> str:
    """Return the likelihood ratio's verdict on the model after the request in one sentence."""
    found = {(r["attack"], r["model"]): r for r in record["results"]}
    after = found["likelihood ratio", "after"]
    words = {
        "too few samples to conclude": f"{count(after['members'], 'forgotten picture')} are too few to conclude.",
        "distinguishable": "The attack tells your model from one that never saw the pictures.",
    }
    return words.get(after["verdict"], "The attack cannot tell your model from one that never saw the pictures.")


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
    """Return what must be kept in mind about the test."""
    weak = [AUDIT_WEAK.format(attack) for attack, works in record["sensitive"].items() if not works]
    return [AUDIT_CAVEAT, *weak]


def residue_summary(record: dict) -> list[str]:
    """Return what a residue scan looked for and found."""
    kinds = ", ".join(f"{n:,} of {kind}" for kind, n in record["sought"].items())
    lines = [f"{count(record['samples'], 'forgotten picture')}, {count(sum(record['sought'].values()), 'telling piece')}: {kinds}."]
    lines += [f"Found: {f['kind']} of {count(f['samples'], 'picture')} in {f['place']}" for f in record["found"]]
    lines += [f"Not read: {name}" for name in record["unread"]]
    lines += [f"Not sought: {n:,} too plain to be told by their {kind}" for kind, n in record["plain"].items()]
    if record["spared"]:
        lines.append(f"Not sought: {count(record['spared'], 'picture')} of which an exact copy stays in the model")
    return [*lines, f"It took {seconds(record['seconds'])}."]


def cluster_facts(n: int, name: str, purity: float) -> str:
    """Return a cluster's size and purity."""
    return f"{count(n, 'image')}, {100 * purity:.0f} % of class {name}"


def curve(steps: int, first: float, last: float) -> str:
    """Return a tuning curve in words."""
    return f"Training loss {first:.2f} → {last:.2f} in {count(steps, 'step')}"


def picture_alt(title: str, when: str, kind: str) -> str:
    """Return the words for a prompt's picture."""
    return f"{title}, {when.lower()}: {'learned tokens as a heat map' if kind == 'matrix' else 'pixel frame'}"


def more_clusters(n: int) -> str:
    """Return how many retrained clusters are not drawn here."""
    return f"{count(n, 'more cluster')} retrained; look at any of them below."


def more_images(n: int) -> str:
    """Return how many forgotten images have no card."""
    return f"and {n:,} more"


def odds_title(row: int, name: str) -> str:
    """Return the name of a forgotten image."""
    return f"No. {row:,} · {name}"


def odds_change(before: float, after: float) -> str:
    """Return two probabilities in whole percent."""
    return f"{100 * before:.0f} → {100 * after:.0f} %"


def odds_spoken(before: float, after: float) -> str:
    """Return two probabilities for screen readers."""
    return f"{100 * before:.0f} % before, {100 * after:.0f} % after"


# Reports of measurements (demo/report.py)

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
BENCH_ATTACK = "Attack: is a forgotten image told from one never seen?"
BENCH_ATTACK_NOTE = (
    "Area under the ROC curve of the loss threshold, with its 95 % interval. Few forgotten images give wide intervals. An exact method's "
    "figure is that of a model which never saw the images, whatever its height."
)
BENCH_TABLE = "All figures"
BENCH_TABLE_NOTE = "Medians, with the smallest and largest in brackets where a request was repeated."
BENCH_X_SECONDS, BENCH_Y_SECONDS = "Seconds of the request", "Seconds"
BENCH_Y_ACCURACY, BENCH_Y_ATTACK = "Test accuracy, %", "Attack AUC"
BENCH_BEST = "Fastest: {fast} with {seconds} (median over the requests). Most accurate: {right} with {accuracy:.1f} %."
BENCH_FACTS = ("Seed", "Repeats", "Hardware", "Versions", "Commands")
BENCH_USAGE = "Draw the result of `python -m core bench unlearn --json` as one HTML file that needs no network."
BENCH_BAD = "{file} cannot be drawn ({reason}). Give the JSON that `python -m core bench unlearn --json` printed."
BENCH_UNWRITABLE = "{file} cannot be written ({reason}). Choose a file in a folder that you may write to."
