"""The map's codec: what goes out comes back, and nothing hostile gets through."""

import base64
import json

import gradio as gr
import numpy as np
import pytest

from demo.map import Marks, Paint, Scatter, Scheme, decode_selection, encode_selection, pack_codes
from demo.map.component import HERE, SCRIPT


@pytest.mark.parametrize("n", [1, 7, 8, 9, 1437, 60_000])
def test_a_selection_survives_the_round_trip(n):
    rows = sorted(np.random.default_rng(n).choice(n, n // 2, replace=False).tolist())
    assert decode_selection(encode_selection(rows, n), n) == rows


def test_a_plain_list_is_taken_from_api_clients():
    assert decode_selection([3, 1, 3], 5) == [1, 3]
    assert decode_selection(None, 5) == []


def bits(n_bytes: int, fill: int = 255) -> str:
    return base64.b64encode(bytes([fill]) * n_bytes).decode()


@pytest.mark.parametrize(
    "payload",
    [
        "rows",
        7,
        {"n": 10},
        {"n": 10, "bits": 5},
        {"n": 11, "bits": bits(2, 0)},
        {"n": "10", "bits": bits(2, 0)},
        {"n": 10, "bits": bits(1, 0)},
        {"n": 10, "bits": bits(3, 0)},
        {"n": 10, "bits": bits(2)},  # names rows 10 to 15
        {"n": 10, "bits": "!!!!"},
        {"n": 10, "bits": "A" * 10_000_000},
        [10],
        [-1],
        [True],
        [1.0],
        ["1"],
        [[1]],
        list(range(11)),
    ],
)
def test_hostile_payloads_are_refused_in_words(payload):
    with pytest.raises(ValueError, match=r"\w"):
        decode_selection(payload, 10)


def test_the_component_turns_a_bad_payload_into_a_page_error():
    with pytest.raises(gr.Error):
        Scatter(n=10, render=False).preprocess([10])


def test_paint_packs_sixteen_bits_a_point_and_marks_what_has_no_group():
    message = json.loads(Paint({"class": Scheme("Class", ("a", "b"), np.array([0, 1, -1]))}, "class").message())
    codes = np.frombuffer(base64.b64decode(message["schemes"]["class"]["codes"]), "<u2")
    assert codes.tolist() == [0, 1, 0xFFFF]
    assert message["active"] == "class"


def test_marks_name_rows_as_bits_and_clusters_as_numbers():
    message = json.loads(Marks(forgotten=(0, 9), touched=(4,), working=True).message(10))
    assert base64.b64decode(message["forgotten"]) == bytes([1, 2])
    assert message["touched"] == [4]
    assert message["working"] and message["done"] == []
    assert json.loads(Marks(touched=(1, 4), done=(4,)).message(10))["done"] == [4]


def test_the_template_never_mentions_the_value_so_that_updates_do_not_redraw_it():
    component = Scatter(n=1, texts={"many": "# <b>"}, render=False)
    assert "${value}" not in component.html_template
    assert "# &lt;b&gt;" in component.html_template


def test_spare_rows_count_in_every_message_and_are_placed_by_a_property():
    component = Scatter(n=12, own="[[10, 0.5, 0.25]]", render=False)
    assert component.props["own"] == "[[10, 0.5, 0.25]]"
    assert component.preprocess([10, 3]) == [3, 10]
    assert component.postprocess([11])["n"] == 12


def test_every_part_of_the_script_is_loaded_once():
    parts = list((HERE / "script").glob("*.js"))
    assert sorted(p.stem for p in parts) == sorted(SCRIPT)
    script = Scatter(n=1, render=False).js_on_load
    assert all(script.count(p.read_text()) == 1 for p in parts)


def test_colors_may_come_later_and_levels_say_what_they_mean():
    scheme = Scheme("Memorized", ("no", "yes"), ordered=True, about="How much", abouts=("under 0.5", "over 0.5"))
    message = json.loads(Paint({"class": Scheme("Class", ("a",), np.array([0])), "memorized": scheme}, "class").message())["schemes"]
    assert message["memorized"] == {**message["memorized"], "codes": None, "ordered": True, "about": "How much"}
    assert np.frombuffer(base64.b64decode(pack_codes(np.array([0, -1, 1]))), "<u2").tolist() == [0, 0xFFFF, 1]
    assert message["class"]["codes"] == pack_codes(np.array([0]))
