import hashlib

import pytest

from core.errors import UnknownSampleError
from core.workspace.merkle import check_inclusion, check_removal, inclusion_path, merkle_root, without

IDS = [f"{hashlib.sha256(str(n).encode()).hexdigest()}-{n % 2}" for n in range(1437)]


def rfc_6962(leaves: list[bytes]) -> bytes:
    """The definition, as the standard writes it: split at the largest power of two below n."""
    if len(leaves) < 2:
        return hashlib.sha256(b"\x00" + leaves[0] if leaves else b"").digest()
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + rfc_6962(leaves[:k]) + rfc_6962(leaves[k:])).digest()


@pytest.mark.parametrize("n", [*range(18), 1024, 1436, 1437])
def test_the_root_is_that_of_the_standard(n):
    assert merkle_root(IDS[:n]) == rfc_6962(sorted(i.encode() for i in IDS[:n])).hex()


def test_the_root_is_of_the_set():
    assert merkle_root(reversed(IDS)) == merkle_root(IDS + IDS[:5]) == merkle_root(set(IDS))
    assert len({merkle_root(IDS[:n]) for n in range(200)}) == 200
    assert merkle_root(()) == hashlib.sha256(b"").hexdigest()


def test_an_inner_node_is_no_id():
    joined = b"".join(hashlib.sha256(b"\x00" + i.encode()).digest() for i in sorted(IDS[:2]))
    assert merkle_root([joined.decode("latin1")]) != merkle_root(IDS[:2])


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 9, 100])
def test_each_id_has_a_path_and_no_other_id_fits_it(n):
    root = merkle_root(IDS[:n])
    for sample in IDS[:n]:
        path = inclusion_path(IDS[:n], sample)
        assert check_inclusion(root, sample, path)
        assert not check_inclusion(root, IDS[n], path)
        assert not check_inclusion(merkle_root(IDS[1 : n + 1]), sample, path)


def test_an_altered_path_leads_nowhere():
    root, path = merkle_root(IDS[:9]), inclusion_path(IDS[:9], IDS[3])
    (side, sibling), *rest = path
    other = "left" if side == "right" else "right"
    for broken in ([(other, sibling), *rest], rest, [*path, (side, sibling)], [(side, "x"), *rest], [(side,)], [("up", sibling)]):
        assert not check_inclusion(root, IDS[3], broken)


def test_an_id_that_is_not_there_has_no_path():
    with pytest.raises(UnknownSampleError, match="not among the 9 ids"):
        inclusion_path(IDS[:9], IDS[9])
    with pytest.raises(UnknownSampleError, match="not among the 9 ids before"):
        without(IDS[:9], IDS[8:10])


def test_exactly_the_requested_ids_went():
    before, after = merkle_root(IDS), merkle_root(IDS[3:])
    assert without(IDS, IDS[:3]) == set(IDS[3:])
    assert check_removal(IDS, IDS[:3], before, after) == ()
    assert check_removal(reversed(IDS), reversed(IDS[:3]), before, after) == ()


@pytest.mark.parametrize("left", [IDS[:3] + IDS[4:], IDS[4:], IDS[2:], IDS], ids=["the next row", "one more", "one less", "none"])
def test_a_planted_wrong_removal_is_found(left):
    problems = check_removal(IDS, IDS[:3], merkle_root(IDS), merkle_root(left))
    assert len(problems) == 1
    assert "is stated after" in problems[0]


def test_another_list_before_and_unknown_ids_are_found():
    found = check_removal(IDS[1:], IDS[2:3], merkle_root(IDS), merkle_root(IDS[1:2] + IDS[3:]))
    assert len(found) == 1 and "is stated before" in found[0]
    assert "not among" in check_removal(IDS[:9], IDS[9:10], merkle_root(IDS[:9]), merkle_root(IDS[:9]))[0]
