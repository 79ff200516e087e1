"""The scores of each token: whole, or refused in one clear line."""

import zipfile

import numpy as np
import pytest
from run_folders import make_run, make_text, write_scores

from dsl.runs import results

pytestmark = pytest.mark.backend


def test_metrics_and_scores_come_back(tmp_path):
    nll, _, sentence = make_text()
    run = make_run(tmp_path / "a", scores=(nll, sentence))
    epochs = results.load_metrics(run)
    assert [entry["valid_perplexity"] for entry in epochs] == [200.0, 100.0]
    scores = results.load_scores(run)
    assert list(scores) == ["nll", "look_back", "sentence"]
    np.testing.assert_array_equal(scores["nll"], nll)
    np.testing.assert_array_equal(scores["sentence"], sentence)
    assert scores["look_back"].sum() == len(nll)
    assert results.load_config(run)["settings"]["seed"] == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nll": np.array([1.0, None])}, "damaged, or not the arrays nll, loo"),
        (
            {"nll": np.array([1, 2])},
            "`nll` must be a finite float .*: int64 of",
        ),
        ({"nll": np.ones((2, 1))}, r"`nll` .* Received: float64 of shape \(2"),
        ({"nll": np.ones(0)}, r"`nll` .* Received: float64 of shape \(0,\)"),
        ({"nll": np.array([1.0, np.nan])}, "`nll` .* Received: nan"),
        ({"look_back": np.ones(3, int)}, "one length. Received: 2, 3, 2"),
        ({"look_back": np.ones(2)}, "`look_back` .* Received: float64 of"),
        ({"nll": np.array([1.0, 1e308])}, "`nll` .* Received: 1e\\+308"),
        ({"nll": np.ones(2, "longdouble")}, "`nll` .* Received: float128"),
        ({"look_back": np.array([-1, 0])}, "`look_back` .* Received: -1"),
        ({"look_back": np.array([0, 2**31])}, "Received: 2147483648$"),
        ({"sentence": np.array([-1, 0])}, "`sentence` .* Received: -1"),
        ({"sentence": np.array([5, 3])}, "`sentence` .* Received: 3 after 5"),
    ],
)
def test_wrong_scores_are_named(tmp_path, changes, message):
    write_scores(tmp_path, np.ones(2), np.arange(2), changes)
    with pytest.raises(results.ResultError, match=message) as caught:
        results.load_scores(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'test_scores.npz'}: ")
    assert "\n" not in str(caught.value)


def test_scores_of_another_kind_are_refused(tmp_path):
    path = tmp_path / "test_scores.npz"
    with pytest.raises(results.ResultError, match="no such file; a run writes"):
        results.load_scores(tmp_path)
    np.savez(path, nll=np.ones(2))
    with pytest.raises(results.ResultError, match="not the arrays nll"):
        results.load_scores(tmp_path)
    with open(path, "wb") as file:
        np.save(file, np.ones(2))
    with pytest.raises(results.ResultError, match="damaged"):
        results.load_scores(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(results.ResultError, match="cannot be read: Is a dir"):
        results.load_scores(tmp_path)


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_scores_that_are_packed_in_another_way(tmp_path, kind):
    write_scores(tmp_path, np.ones(2), np.arange(2))
    path = tmp_path / "test_scores.npz"
    with zipfile.ZipFile(path) as old:
        members = [(name, old.read(name)) for name in old.namelist()]
    with zipfile.ZipFile(path, "w", kind) as new:
        for member in members:
            new.writestr(*member)
    with pytest.raises(results.ResultError, match="packed in another way"):
        results.load_scores(tmp_path)


def test_bytes_before_the_scores(tmp_path):
    write_scores(tmp_path, np.ones(2), np.arange(2))
    path = tmp_path / "test_scores.npz"
    path.write_bytes(b"more" + path.read_bytes())
    with pytest.raises(results.ResultError, match="belong to no member"):
        results.load_scores(tmp_path)


class Bomb:
    """Tells whoever unpickles it."""

    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


def test_pickled_scores_are_never_loaded(tmp_path):
    nll = np.empty(2, object)
    nll[:] = [Bomb(), Bomb()]
    write_scores(tmp_path, nll, np.arange(2))
    with pytest.raises(results.ResultError, match="damaged"):
        results.load_scores(tmp_path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damaged_scores_give_one_clear_line(tmp_path, save):
    path = tmp_path / "test_scores.npz"
    ones = np.ones(9, int)
    save(path, nll=np.linspace(0, 1, 9), look_back=ones, sentence=ones)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for length in (0, 1, 30, 200, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(results.ResultError, match="damaged"):
            results.load_scores(tmp_path)
    refused = 0
    for place in rng.integers(len(whole), size=400):
        changed = bytearray(whole)
        changed[place] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        try:
            scores = results.load_scores(tmp_path)
        except results.ResultError as error:
            refused += 1
            assert str(error).startswith(f"{path}: ")
            assert "\n" not in str(error)
        else:
            np.testing.assert_array_equal(scores["nll"], np.linspace(0, 1, 9))
    assert refused > 200
