"""Serves the map alone, on made-up points with three spare rows and buttons that send it what the page would:
`python tests/browser/bare_map.py PORT FOLDER`."""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path

import gradio as gr
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from demo import texts  # noqa: E402
from demo.map import Marks, Paint, Scatter, Scheme, pack_codes  # noqa: E402

FILED, N, CLUSTERS = 300, 303, 30
CLUSTER_OF = np.arange(N) % CLUSTERS
OWN = [[300, 0.5, 0.5], [302, 0.25, 0.75]]
SELECTED = (0, 1, 2)


def places() -> np.ndarray:
    """Return the points (FILED, 2): a grid of clusters, so that a test knows where each of them is."""
    rng = np.random.default_rng(0)
    columns = CLUSTER_OF[:FILED, None] // np.array([1, 6]) % np.array([6, 5])
    return ((columns + 0.5) / np.array([6, 5]) + rng.normal(0, 0.02, (FILED, 2))).astype(np.float32)


def paint(forgotten: tuple[int, ...] = ()) -> str:
    labels = np.arange(N) % 2
    labels[list(forgotten)] = -1
    schemes = {
        "class": Scheme("Class", ("even", "odd"), labels),
        "cluster": Scheme("Cluster", tuple(f"Cluster {c}" for c in range(CLUSTERS)), CLUSTER_OF),
        "late": Scheme("Late", ("low", "middle", "high"), ordered=True),
    }
    return Paint(schemes, "class").message()


def thumbnail(sent: dict) -> dict | None:
    """Answer as the page does, with gray pictures."""
    if "scheme" in sent:
        return {"codes": pack_codes(np.arange(N) % 3)}
    if "rows" in sent:
        return {"pictures": [[row, gray(row)] for row in sent["rows"]]}
    return {"src": gray(sent["row"]), "title": f"Class {sent['row'] % 2}", "lines": [f"No. {sent['row']}"]}


def gray(row: int) -> str:
    picture = io.BytesIO()
    Image.fromarray(np.full((8, 8), row % 256, np.uint8)).save(picture, "PNG")
    return "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()


def main(port: int, folder: Path) -> None:
    points = folder / "points.f32"
    points.write_bytes(places().tobytes())
    gr.set_static_paths([str(folder)])
    messages = {
        "own-one": {"own": json.dumps(OWN[:1])},
        "own-two": {"own": json.dumps(OWN)},
        "own-none": {"own": ""},
        "select": {"value": list(SELECTED), "marks": Marks(touched=SELECTED).message(N)},
        "work": {"value": list(SELECTED), "marks": Marks(touched=SELECTED, working=True).message(N)},
        "half done": {"marks": Marks(touched=SELECTED, working=True, done=SELECTED[:1]).message(N)},
        "forgotten": {"value": [], "marks": Marks(SELECTED, SELECTED).message(N), "paint": paint(SELECTED)},
    }
    with gr.Blocks() as demo:
        kwargs = {"points": str(points), "paint": paint(), "marks": Marks().message(N), "thumbnail": thumbnail}
        scatter = Scatter(n=N, texts=texts.MAP, elem_id="lm-map", **kwargs)
        rows = gr.Textbox(label="Rows", elem_id="rows")
        for name, update in messages.items():
            gr.Button(name).click(lambda update=update: gr.update(**update), None, scatter)
        scatter.select(lambda chosen: json.dumps(chosen), scatter, rows)
    demo.queue().launch(server_port=port)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
