import json
import random
from dataclasses import replace

import pytest

from core.errors import DataError
from core.workspace.merkle import merkle_root
from core.workspace.receipts import (
    ADDED,
    MOST_BYTES,
    Receipt,
    check_chain,
    check_request,
    commit_to,
    commit_to_subjects,
    keys_digest,
    opens,
    opens_subject,
    read_receipts,
)

A, B, C = "a" * 64, "b" * 64, "c" * 64
SALT = bytes(32)
STAYING = tuple(f"{n:064x}-0" for n in range(10**30, 10**30 + 20))
IDS = ("1" * 64 + "-0", "2" * 64 + "-0")
OLD = {  # as schema 1 wrote it
    "accepted": "2026-01-01T00:00:00.000+00:00", "affected": [], "backbone": C, "commitments": [A],
    "committed": "2026-01-01T00:00:01.000+00:00", "hardware": {}, "previous": None, "request": 1, "resumed": False, "retrained": [],
    "root_after": B, "root_before": A, "sample_passes": 24, "samples": 12, "schema": 1, "seconds": {"total": 0.3},
    "seed": "each cluster's generator is seeded by the first 60 bits of its key", "untouched": 1, "untouched_digest": C,
    "versions": {"torch": "2"}, "hash": "e8c5dd3ec82a51573b46f65fb4a28b07c31acee3ff498f005bec4ad68b3b5fe0",
}  # fmt: skip


def held(request: int) -> tuple[str, ...]:
    """The ids before a request of the chain: each takes two of those that stay longest, and the first takes IDS."""
    return (*IDS, *STAYING) if request == 1 else STAYING[2 * (request - 2) :]


def asked(request: int) -> tuple[str, ...]:
    return held(request)[:2]


def receipt(request: int = 1, previous: Receipt | None = None) -> Receipt:
    return Receipt(
        request=request,
        accepted="2026-01-01T00:00:00.000+00:00",
        committed="2026-01-01T00:00:01.000+00:00",
        commitments=commit_to(SALT, asked(request)),
        root_before=A,
        root_after=B,
        affected=(A,),
        retrained=(B,),
        untouched=1,
        untouched_digest=keys_digest([C]),
        samples=len(held(request)) - 2,
        sample_passes=24,
        seconds={"train": 0.1, "total": 0.30000000000000004},
        resumed=False,
        versions={"torch": "2"},
        hardware={"cores": "2"},
        backbone=C,
        samples_before=len(held(request)),
        retained_before=merkle_root(held(request)),
        retained_after=merkle_root(held(request)[2:]),
        repaired=False,
        learned=0,
        subjects=commit_to_subjects(SALT, ["Ada"]),
    ).after(previous)


def chain(n: int) -> list[Receipt]:
    receipts = []
    for number in range(1, n + 1):
        receipts.append(receipt(number, receipts[-1] if receipts else None))
    return receipts


def test_a_receipt_is_read_back_as_it_was():
    one = receipt()
    assert Receipt.from_json(json.dumps(one.to_json())) == one
    assert Receipt.from_json(one.to_json()).hash == one.hash


def test_no_id_and_no_salt_is_in_it():
    text = json.dumps(receipt().to_json())
    assert not any(i in text or i.split("-")[0] in text for i in IDS)
    assert SALT.hex() not in text.replace(A, "").replace(B, "")


def test_commitments_open_with_the_salt_alone():
    assert opens(receipt(), SALT, IDS[0])
    assert not opens(receipt(), SALT, "3" * 64 + "-0")
    assert not opens(receipt(), b"another salt....", IDS[0])
    assert commit_to(SALT, IDS) == commit_to(SALT, reversed(IDS))


def test_a_subject_opens_with_the_salt_alone_and_is_no_id():
    one = receipt()
    assert opens_subject(one, SALT, "Ada")
    assert not opens_subject(one, SALT, "Bob")
    assert not opens_subject(one, b"another salt....", "Ada")
    assert not opens(one, SALT, "Ada")
    assert not opens_subject(replace(one, subjects=None), SALT, "Ada")
    assert "Ada" not in json.dumps(one.to_json())


@pytest.mark.parametrize("field", [f for f in receipt().to_json() if f not in ("hash", "schema")])
def test_an_altered_field_is_found(field):
    data = receipt(2, receipt(1)).to_json()
    old = data[field]
    changed = {bool: lambda: not old, int: lambda: old + 1, str: lambda: old[:-1] + ("d" if old[-1] != "d" else "e")}
    data[field] = changed.get(type(old), lambda: {} if isinstance(old, dict) else [])()
    with pytest.raises(DataError, match="altered"):
        Receipt.from_json(data)


def test_a_chain_holds_and_says_where_it_breaks():
    receipts = chain(4)
    assert check_chain(receipts) == check_chain([]) == ()
    assert check_chain(receipts[1:])[0].startswith("receipt 2 follows")
    assert "receipt 3" in check_chain([receipts[0], *receipts[2:]])[0]
    assert len(check_chain([receipts[1], receipts[0]])) >= 2
    forged = [receipts[0], replace(receipts[1], sample_passes=9), *receipts[2:]]
    assert check_chain(forged) == (f"receipt 3 follows {receipts[1].hash[:12]}, but the one before it has {forged[1].hash[:12]}",)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '"x"', "{}", b"\xff\xfe", "[" * 100_000, '{"hash": NaN}'])
def test_what_is_no_receipt_is_refused(text):
    with pytest.raises(DataError):
        Receipt.from_json(text)


def test_another_schema_is_refused():
    for schema in (0, 5, None, "2", True):
        with pytest.raises(DataError, match=f"schema {schema}"):
            Receipt.from_json({**receipt().to_json(), "schema": schema})


def test_a_receipt_of_schema_1_stays_valid_by_its_own_hash():
    found = Receipt.from_json(OLD)
    assert (found.schema, found.retained_after, found.samples_before) == (1, None, None)
    assert found.to_json() == OLD
    for name in (name for names in ADDED.values() for name in names):
        with pytest.raises(DataError, match=f"no field '{name}'"):
            Receipt.from_json({**OLD, name: receipt().to_json()[name]})
    with pytest.raises(DataError, match="altered"):
        Receipt.from_json({**OLD, "samples": 11})


def test_a_receipt_of_schema_2_stays_valid_by_its_own_hash():
    second = replace(receipt(), schema=2, learned=None, subjects=None)
    assert not {"learned", "subjects"} & second.to_json().keys()
    assert Receipt.from_json(second.to_json()) == second


def test_a_chain_goes_on_where_samples_were_learned_and_their_number_must_fit():
    first = receipt(1)
    more = replace(receipt(2), retained_before=A, samples_before=first.samples + 3, samples=first.samples + 1)
    assert check_chain([first, replace(more, learned=3).after(first)]) == ()
    assert "starts from samples" in check_chain([first, more.after(first)])[0]
    assert "4 samples were learned" in check_chain([first, replace(more, learned=4).after(first)])[0]


def test_a_chain_goes_on_over_a_change_of_schema():
    old = Receipt.from_json(OLD)
    receipts = [old, receipt(2, old)]
    receipts.append(receipt(3, receipts[1]))
    assert check_chain(receipts) == ()
    assert read_receipts(json.dumps([r.to_json() for r in receipts])).problems == ()


@pytest.mark.parametrize("field", ["samples_before", "retained_before", "retained_after", "repaired", "learned", "subjects"])
def test_a_receipt_of_schema_4_lacks_none_of_its_fields(field):
    data = receipt().to_json()
    with pytest.raises(DataError, match=f"{field} is 'None'"):
        Receipt.from_json({**data, field: None})
    del data[field]
    with pytest.raises(DataError, match=field):
        Receipt.from_json(data)


def test_a_request_starts_from_the_samples_that_the_one_before_left():
    first = receipt(1)
    other = replace(receipt(2), retained_before=merkle_root(STAYING[1:])).after(first)
    assert check_chain([first, other])[0].startswith("receipt 2 starts from samples")
    assert check_chain([first, replace(other, repaired=True)]) == ()
    assert "of 22 samples 19 were left when 2 went" in check_chain([replace(first, samples=19)])[0]


def test_two_lists_of_ids_and_a_receipt_tell_that_exactly_these_went():
    one = receipt()
    assert check_request(one, held(1), IDS) == check_request(one, held(1), IDS, SALT) == ()
    assert "stated after" in check_request(one, held(1), held(1)[1:3])[0]
    assert "under this salt" in check_request(one, held(1), IDS, b"another salt....")[0]
    assert "for 2 ids, not for 3" in check_request(one, held(1), held(1)[:3])[-1]
    assert check_request(receipt(2), held(1), IDS, SALT) != ()  # of another request
    assert "has schema 1" in check_request(Receipt.from_json(OLD), held(1), IDS)[0]


def test_malformed_receipts_are_refused_with_the_projects_own_error():
    rng, whole = random.Random(0), receipt().to_json()
    values = [None, -1, 1.5, 2**70, True, "", "x", "é\x00", [], [1], {}, {"a": None}, {"a": float("inf")}, [A] * 3, "f" * 64]
    for _ in range(1000):
        data, field = dict(whole), rng.choice([*whole, "extra"])
        if rng.random() < 0.2:
            data.pop(field, None)
        else:
            data[field] = rng.choice(values)
        if data != whole:
            with pytest.raises(DataError):
                Receipt.from_json(data)


def test_a_file_of_receipts_is_read_whole_or_one_by_one():
    receipts = chain(3)
    found = read_receipts(json.dumps([r.to_json() for r in receipts]))
    assert (found.receipts, found.problems) == (tuple(receipts), ())
    single = read_receipts(json.dumps(receipts[2].to_json()).encode())
    assert (single.receipts, single.problems) == ((receipts[2],), ())


def test_a_tampered_file_names_the_entry_and_the_break():
    entries = [r.to_json() for r in chain(3)]
    entries[1]["samples"] = 999
    problems = read_receipts(json.dumps(entries)).problems
    assert problems[0].startswith("Entry 2: Receipt 2 says hash")
    assert "receipt 3 follows" in problems[1]
    assert "receipt 2 follows" in read_receipts(json.dumps([r.to_json() for r in chain(3)][1:])).problems[0]


@pytest.mark.parametrize("text", ["", "no", "3", "[]", "{}", "null", "[" * 100_000])
def test_what_holds_no_receipts_is_refused(text):
    with pytest.raises(DataError):
        read_receipts(text)


def test_a_file_that_is_too_large_is_not_parsed():
    with pytest.raises(DataError, match="at most 8,388,608"):
        read_receipts(b" " * (MOST_BYTES + 1))
