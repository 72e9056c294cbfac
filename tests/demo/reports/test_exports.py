"""Exports as JSON and CSV: what was found out about a request since, in both, and in the Result tab once it is there."""

import csv
import io
import json

import pytest

from demo.reports import exports
from tests.demo.tabs.test_ledger import forget, merged


@pytest.fixture
def visitor(lab, site):
    visitor = lab.enter()
    forget(site, visitor, 1, 7)
    return visitor


def studied(site, visitor):
    audit, scan = site.proof.membership.run(visitor.token), site.proof.residue.run(visitor.token)
    return merged(site.compare.run(visitor.token, ["SISA"])) | merged(audit) | merged(scan)


def exported(lab, visitor) -> tuple[dict, dict]:
    """Return the JSON, and the lines of the CSV by measure."""
    (_, _, text, _), (_, _, lines, _) = exports.files(visitor.requests, lab, lambda request: lab.verdict(visitor, request.number))
    return json.loads(text), {line["measure"]: line for line in csv.DictReader(io.StringIO(lines))}


def test_comparison_membership_residue_and_proof_are_in_both(lab, site, visitor):
    studied(site, visitor)
    merged(site.proof.full(visitor.token))
    record, lines = exported(lab, visitor)
    assert [row["method"] for row in record["comparison"]["methods"]] == ["LMEraser", "SISA"]
    assert record["comparison"]["methods"][0]["guarantee"] == lines["comparison LMEraser guarantee"]["after"] == "exact"
    assert lines["comparison SISA time"]["after"] == "1.0" and lines["comparison SISA attack score"]["unit"] == "AUC"
    assert record["membership"]["verdict"] == lines["membership verdict"]["after"]
    assert "scores" not in record["membership"]
    assert lines["membership likelihood ratio"]["before"] == lines["membership likelihood ratio control"]["after"] == "0.75"
    assert record["residue"]["clean"] and lines["residue found"]["after"] == "0"
    assert record["proof"]["verdict"] == lines["proof"]["after"] == "equal"


def test_what_was_not_run_is_empty(lab, site, visitor):
    record, lines = exported(lab, visitor)
    assert record["comparison"] is record["membership"] is record["residue"] is None
    assert not [name for name in lines if name.startswith(("comparison", "membership", "residue"))]


def test_the_result_tab_offers_them_as_soon_as_they_are_there(lab, site, visitor):
    site.opened("result", visitor.token)
    assert "result" in studied(site, visitor)
    site.opened("proof", visitor.token)
    assert "result_body" in studied(site, visitor)  # hidden until it is opened and filled
