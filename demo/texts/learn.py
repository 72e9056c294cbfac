"""The Learn tab: the figure of the method, and the lesson."""

from __future__ import annotations

from demo.texts.formats import count, seconds

LEAD_LEARN = "Forgetting is fast because every cluster is trained on its own. Five short steps: predict, answer, then read what happens."
PRINT = "Print as a worksheet"
SHEET_TITLE, SHEET_NAME, SHEET_DATE, SHEET_WHY = "LMEraser Lab: worksheet", "Name", "Date", "Why do you think so?"
LESSON_RIGHT = "Right."
LESSON_WRONG = "Not quite."
HOW_STEPS = (
    ("A public model, frozen", "It was trained on public pictures only. It never changes, so it holds nothing private."),
    ("Private pictures, in clusters", "Pictures that look alike to the public model are grouped together."),
    ("One prompt per cluster", "Each cluster trains its own small prompt and classifier, on its own pictures only."),
    (
        "Forget",
        "Delete the pictures. Retrain the clusters that contained them, or that they helped to shape. All others stay as they are, "
        "bit for bit. The global head is a sum over all pictures, so the deleted ones are subtracted from it.",
    ),
)
FIGURE_MODEL, FIGURE_FROZEN, FIGURE_PREDICTION = "Public model", "frozen", "Prediction"
FIGURE_WAITS = "The figure shows your clusters when the model is ready."
FIGURE_EMPTY = "Your model has forgotten every picture, so it has no clusters."
FIGURE_CLUSTERS = "one prompt and classifier for each cluster"


def how_note(clusters: int | None, touched: int) -> str:
    """Return the line under the figure, about the visitor's own clusters; None while there is no model."""
    if not clusters:
        return FIGURE_WAITS if clusters is None else FIGURE_EMPTY
    if touched:
        return f"Your selection touches {touched:,} of {count(clusters, 'cluster')}; they are filled in the figure."
    return f"Your model has {count(clusters, 'cluster')}. Select pictures, and the clusters that would retrain are filled in the figure."


def retrained_here(value: float) -> str:
    """Return how long full retraining took for the visitor's own request."""
    return f"For your last request, it took {seconds(value)}."


def retrained_before(samples: int, value: float, day: str) -> str:
    """Return how long training from scratch took when it was measured."""
    return f"Training on {count(samples, 'picture')} from scratch took {seconds(value)} on this machine ({day})."


def lesson(clusters: int, samples: int, took: str) -> list[dict]:
    """Return the five steps: title, what to do, question, options, index of the right one, and what is revealed.

    clusters, samples: of the model as it is now; 0 while there is none. took: a sentence on full retraining, or nothing.
    """
    cells = count(clusters, "cluster") if clusters else "many clusters"
    pictures = count(samples, "picture") if samples else "many pictures"
    return [
        {
            "title": "What is in the model?",
            "do": "Point at a few dots on the map. Each is a picture the model learned from.",
            "ask": "Someone deletes the file of one picture. Does the trained model still carry traces of it?",
            "options": ("No, the file is gone", "Yes, training has used it", "Only if the model is copied"),
            "right": 1,
            "reveal": "Training turned the picture into small changes to the model's numbers. Deleting the file leaves them there.",
        },
        {
            "title": "Why is retraining slow?",
            "do": "Read the line above the map: it says how long full retraining takes on this machine.",
            "ask": f"The model learned {pictures}. To forget one, how many must an ordinary model learn again?",
            "options": ("One", "About half", "All but one"),
            "right": 2,
            "reveal": f"Every picture shaped the whole model, so the only safe way is to start again with all the others. {took}".strip(),
        },
        {
            "title": "One cluster at a time",
            "do": "Select a single picture and read the preview. Do not press Forget yet.",
            "ask": f"The pictures are in {cells}, each trained separately. How many must retrain for one picture?",
            "options": ("One, sometimes a few", "Half of them", "All of them"),
            "right": 0,
            "reveal": "Usually one. If the picture helped to shape the clusters, a few more. Press Forget and compare the two times.",
        },
        {
            "title": "The worst case",
            "do": "Choose Add next to the tools, and click pictures in many different places.",
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
            "reveal": (
                "A good model is also right about pictures it never saw. The proof is the root: it equals that of a model that never "
                "saw this one."
            ),
        },
    ]
