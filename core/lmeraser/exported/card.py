"""The model card that travels with an export, in the Hub's form: facts of this model, how to use it, and what it does not promise."""

from __future__ import annotations

from typing import Any

MOST_CLASSES = 50  # named on the card


def model_card(facts: dict[str, Any], clusters: int) -> str:
    """Return the card as Markdown with the Hub's front matter, from the facts in the export's config.json."""
    origin, backbone, config = facts["origin"], facts["backbone"], facts["config"]
    height, width = facts["frame"]["size"]
    names = [_plain(name) for name in facts["classes"]]
    classes = ", ".join(names[:MOST_CLASSES]) + (f" and {len(names) - MOST_CLASSES:,} more" if len(names) > MOST_CLASSES else "")
    method = config["partition"]["method"]
    prompt = config["prompt"]["kind"]
    learned = "class sums of each cluster" if prompt == "none" else f"a prompt ({prompt}) and a classifier head for each cluster"
    return f"""---
library_name: lmeraser-lab
pipeline_tag: image-classification
tags:
- machine-unlearning
- image-classification
---

# Image classifier that can forget, trained on {_plain(origin["dataset"]) or "a data set of one's own"}

| | |
|---|---|
| Classes | {len(names):,}: {classes} |
| Images in the model | {origin["images"]:,}, stored at {width} x {height} px |
| Requests to forget so far | {origin["requests"]:,} |
| Backbone | {_plain(backbone["name"])}, frozen; weights `{backbone["fingerprint"][:16]}` |
| Clusters | {clusters:,} by `{method}`; {learned} |
| Preset | {_plain(origin["preset"]) or "settings of its own, in config.json"} |
| Root | `{facts["root"]}` |

The root is a SHA-256 over everything that decides an answer. Loading computes it again and refuses a file in which a byte differs.
A model trained from scratch without the forgotten images, on the same kind of machine, has this same root.

## Use

```python
from core import LMEraser

model = LMEraser.load("this-folder")
images = model.fitted_images([open("photo.jpg", "rb").read()])
print(model.class_names_[model.predict(images)[0]], model.predict_proba(images).max())
```

or `python -m core predict --model this-folder photo.jpg`.

## Limits

- It holds no private image, so it can neither forget nor learn. A request to forget goes to the workspace that it came from; export
  again afterwards, and withdraw this copy.
- The numbers in it were learned from private images, and those of small clusters come from few of them: handle the file as you would
  handle the data.
- Images of another kind than those it learned get an answer, too, and it means nothing.
"""


def _plain(text: str) -> str:
    """Return a name from outside without what Markdown would read as markup."""
    return "".join(c if c.isalnum() or c in " .,_-/" else " " for c in text).strip()
