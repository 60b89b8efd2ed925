"""One run's prints are brought into their order, and everything left out on the way is counted and said."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxsgd.diagnosis.diagnose import array_log
from jaxsgd.diagnosis.log import log_notes, losses_log, read_log
from jaxsgd.error import InputError


def write(tmp_path, steps, losses, name="log"):
    text = "".join(f"step {step} loss {loss}\n" for step, loss in zip(steps, losses, strict=True))
    (tmp_path / name).write_text(text)
    return tmp_path / name


def note_texts(log):
    return {note.name: note.text for note in log_notes(log)}


def test_values_that_are_not_finite_are_left_out_and_counted(tmp_path):
    log = read_log(write(tmp_path, range(1, 7), ["0.5", "nan", "0.25", "inf", "-inf", "0.125"]))
    np.testing.assert_array_equal(log.loss, [0.5, 0.25, 0.125])
    np.testing.assert_array_equal(log.step, [1, 3, 6])
    np.testing.assert_array_equal(log.line, [1, 3, 6])
    assert log.non_finite == 3
    assert note_texts(log) == {"non_finite": "Left out 3 values that are NaN or infinite."}


def test_a_log_that_ends_in_nan_says_from_which_line_on(tmp_path):
    # The NaN of step 2 is alone; of the last three steps none is finite.
    log = read_log(write(tmp_path, range(1, 8), ["0.5", "nan", "0.25", "0.125", "nan", "inf", "nan"]))
    assert (log.non_finite, log.non_finite_from) == (4, "line 5")
    assert note_texts(log) == {
        "non_finite": "Left out 4 values that are NaN or infinite. From line 5 on all values are: the training diverged there."
    }
    losses = [0.5, math.nan, 0.25, math.nan, math.nan]
    assert losses_log(np.array(losses)).non_finite_from == "value 4"
    assert array_log([losses[:3], [math.nan] * 3]).non_finite_from == "value 4"


@pytest.mark.parametrize("losses", [["0.5", "nan", "nan", "0.25"], ["0.5", "0.25", "0.125", "nan"]])
def test_a_log_with_losses_after_its_nan_or_with_a_single_one_at_the_end_is_not_said_to_diverge(losses, tmp_path):
    assert read_log(write(tmp_path, range(1, 5), losses)).non_finite_from == ""


@pytest.mark.parametrize("setting", ["patience=3, loss_window=20", "loss_improvement_pct=1.0, epochs=5"])
def test_a_loss_that_is_nan_throughout_is_the_loss_and_no_setting_is(setting, tmp_path):
    lines = [f"| epoch {e} | {b}/60 batches | loss   nan | ppl      nan\n" for e in (1, 2) for b in range(10, 61, 10)]
    (tmp_path / "log").write_text(f"Namespace({setting}, lr=20)\n" + "".join(lines))
    with pytest.raises(InputError, match="'loss' has no finite value: all 12 are NaN or infinite"):
        read_log(tmp_path / "log")


def test_of_as_many_losses_of_evaluations_and_of_batches_those_of_batches_are_read(tmp_path):
    lines = [f"step {n}: train loss {5 - n / 1000}, val loss 6.5\niter {n}: loss {4 - n / 1000}\n" for n in range(0, 600, 100)]
    (tmp_path / "log").write_text("".join(lines))
    log = read_log(tmp_path / "log")
    assert log.column == "loss"
    np.testing.assert_allclose(log.loss, 4 - np.arange(0, 600, 100) / 1000)


def test_a_counter_with_a_unit_behind_its_name_is_one(tmp_path):
    (tmp_path / "log.csv").write_text(
        "Epochs (/10),Time (epoch),Loss\n" + "".join(f"{n},2.5,{5 - n / 10}\n" for n in range(1, 9))
    )
    np.testing.assert_array_equal(read_log(tmp_path / "log.csv").epoch, np.arange(1, 9))


def test_each_run_of_a_log_has_its_own_end(tmp_path):
    # The first run diverges at its third step, the second does not.
    path = write(tmp_path, [1, 2, 3, 4, 1, 2, 3, 4], ["8", "7", "nan", "nan", "4", "3", "2", "1"])
    assert [read_log(path, run=run).non_finite_from for run in (1, 2)] == ["line 3", ""]


def test_a_resumed_run_is_joined_and_its_later_prints_replace_the_earlier(tmp_path):
    # Killed after step 5, resumed from a checkpoint of step 3.
    log = read_log(write(tmp_path, [1, 2, 3, 4, 5, 4, 5, 6], [8, 7, 6, 5, 4, 3, 2, 1]))
    np.testing.assert_array_equal(log.step, [1, 2, 3, 4, 5, 6])
    np.testing.assert_array_equal(log.loss, [8, 7, 6, 3, 2, 1])
    np.testing.assert_array_equal(log.line, [1, 2, 3, 6, 7, 8])
    assert (log.resumed, log.repeated, log.duplicates) == (1, 2, 0)
    assert note_texts(log)["resumed"].endswith("joined there: later values replace 2 earlier values.")


def test_a_run_resumed_within_an_epoch_is_joined_there(tmp_path):
    places = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (2, 2), (3, 1), (3, 2)]
    text = "".join(f"epoch {e} iter {b}/2 loss {k}\n" for k, (e, b) in enumerate(places))
    (tmp_path / "log").write_text(text)
    log = read_log(tmp_path / "log")
    np.testing.assert_array_equal(log.loss, [0, 1, 2, 5, 6, 7])
    assert log.resumed == 1


def test_a_step_printed_twice_counts_once(tmp_path):
    log = read_log(write(tmp_path, [1, 1, 2, 2, 3, 3, 4, 4], [8, 8, 7, 7, 6, 6, 5, 5]))
    np.testing.assert_array_equal(log.loss, [8, 7, 6, 5])
    assert log.duplicates == 4
    assert note_texts(log) == {"duplicates": "Left out 4 values that the next line repeats."}


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_what_is_kept_rises_and_every_step_keeps_its_last_print_unless_a_resumed_run_took_it_back(steps, random):
    from jaxsgd.diagnosis.log import _newest

    key = np.array(steps, np.float64)
    kept, duplicates, resumed, repeated = _newest(key)
    # Independent of the code's running minimum: a print stays when nothing after it is at or before its step.
    expected = [k for k in range(len(steps)) if all(steps[k] < later for later in steps[k + 1 :])]
    assert kept.tolist() == expected
    assert len(steps) == len(kept) + duplicates + repeated
    assert resumed == sum(b < a for a, b in itertools.pairwise(steps))


def test_two_runs_one_after_the_other_are_told_and_either_can_be_chosen(tmp_path):
    path = write(tmp_path, [1, 2, 3, 4, 1, 2, 3, 4], [8, 7, 6, 5, 4, 3, 2, 1])
    with pytest.raises(InputError, match=r"log: contains 2 runs \(losses 1-4, 5-8\); choose one with --run 1 ... 2"):
        read_log(path)
    np.testing.assert_array_equal(read_log(path, run=1).loss, [8, 7, 6, 5])
    np.testing.assert_array_equal(read_log(path, run=2).loss, [4, 3, 2, 1])
    with pytest.raises(InputError, match=r"--run must be a whole number from 1 to 2, the runs in .*log, got 3"):
        read_log(path, run=3)


def test_rows_that_name_their_run_are_told_apart(tmp_path):
    lines = [json.dumps({"run": name, "step": k, "loss": k + add}) for k in range(4) for name, add in (("a", 0), ("b", 10))]
    (tmp_path / "log").write_text("\n".join(lines))
    with pytest.raises(InputError, match=r"contains 2 runs \(a, b\)"):
        read_log(tmp_path / "log")
    np.testing.assert_array_equal(read_log(tmp_path / "log", run=2).loss, [10, 11, 12, 13])


def test_two_runs_that_take_turns_are_told(tmp_path):
    path = write(tmp_path, [1, 1, 2, 2, 3, 3, 4, 4], [8, 1, 7, 2, 6, 3, 5, 4])
    with pytest.raises(InputError, match="several different losses for each step, so two runs are mixed"):
        read_log(path)


RANKS = [
    "[rank{r}] Epoch {e} step {s}/20 loss: {l:.4f}",
    "INFO rank {r}: epoch {e} iter {s} train loss {l:.4f}",
    "[GPU{r}] Epoch {e} | Batch {s} | Loss: {l:.4f}",
    "[default{r}]:epoch: {e}, step: {s}, loss: {l:.4f}",
    '{{"rank": {r}, "epoch": {e}, "step": {s}, "loss": {l:.4f}}}',
]
"""Lines of one of several processes: DistributedDataParallel with a logger, its tutorial, torchrun, and JSON lines."""


@pytest.mark.parametrize(("name", "is_said"), [("val_loss", True), ("eval/loss", True), ("train_loss", False), ("loss", False)])
def test_a_validation_loss_that_stands_alone_is_said_to_show_no_order(tmp_path, name, is_said):
    (tmp_path / "log.csv").write_text(f"step,{name}\n" + "".join(f"{k},{1 / (k + 1)}\n" for k in range(30)))
    assert ("held_out" in note_texts(read_log(tmp_path / "log.csv"))) == is_said


@pytest.mark.parametrize("line", RANKS)
def test_of_several_ranks_the_first_is_read_and_it_is_said(tmp_path, line):
    rng = np.random.default_rng(0)
    rows = [(e, s, r) for e in range(1, 5) for s in (5, 10, 15, 20) for r in rng.permutation(3)]
    (tmp_path / "log").write_text("\n".join(line.format(e=e, s=s, r=r, l=e + s / 100 + r / 10) for e, s, r in rows))
    log = read_log(tmp_path / "log")
    np.testing.assert_allclose(log.loss, [e + s / 100 for e in range(1, 5) for s in (5, 10, 15, 20)])
    np.testing.assert_array_equal(log.step, [5, 10, 15, 20] * 4)
    assert log.other_ranks == (1, 2)
    (note,) = log_notes(log)
    assert note.text == "Several processes print: the losses of rank 0 are read, those of ranks 1 to 2 are left out."


@pytest.mark.parametrize("size", [2, 4])
def test_of_processes_without_a_rank_the_mean_of_each_step_is_read(tmp_path, size):
    rng = np.random.default_rng(0)
    loss = 2 - np.arange(40)[:, None] / 50 + 0.1 * rng.standard_normal((40, size))
    lines = [f"Epoch {k // 10} step {k % 10} loss {value:.6f}" for k, losses in enumerate(loss) for value in losses]
    # A process may be late by a line.
    lines[2 * size - 1], lines[2 * size] = lines[2 * size], lines[2 * size - 1]
    (tmp_path / "log").write_text("\n".join(lines))
    log = read_log(tmp_path / "log")
    np.testing.assert_allclose(log.loss, loss.mean(axis=1), atol=1e-6)
    np.testing.assert_array_equal(log.step, np.arange(40) % 10)
    assert note_texts(log)["processes"].startswith(f"Each step has {size} different losses, as when {size} processes print")


def test_trainings_that_do_not_wait_for_each_other_are_not_averaged(tmp_path):
    rng = np.random.default_rng(0)
    # The second is behind by 20 steps.
    steps = [step for k in range(100) for step in ([k] if k < 20 else [k, k - 20])]
    path = write(tmp_path, steps, 2 + 0.1 * rng.standard_normal(len(steps)))
    with pytest.raises(InputError, match="its steps go back"):
        read_log(path)


def test_a_number_called_rank_that_does_not_count_from_0_is_no_rank(tmp_path):
    rows = [{"step": k, "loss": float(k), "mean_rank": 7 - k % 3} for k in range(12)]
    (tmp_path / "log").write_text("\n".join(json.dumps(row) for row in rows))
    log = read_log(tmp_path / "log")
    assert (len(log.loss), log.other_ranks) == (12, ())


def test_lines_in_no_order_are_told(tmp_path):
    steps = np.random.default_rng(0).permutation(200) + 1
    steps[0] = 0
    with pytest.raises(InputError, match=r"its steps go back .* times, as those of one run do not"):
        read_log(write(tmp_path, steps, np.ones(200)))


def test_losses_of_lines_without_a_place_are_another_series(tmp_path):
    # Caffe says each loss twice, once without its iteration.
    text = "".join(f"Iteration {k}, loss = {k}\n    Train net output #0: loss = 9.0 (* 1 = 9.0 loss)\n" for k in range(5))
    (tmp_path / "log").write_text(text)
    log = read_log(tmp_path / "log")
    np.testing.assert_array_equal(log.loss, range(5))
    assert log.left_out == ("loss (in lines with 'train net output'): 5 values",)


def test_losses_without_a_place_are_left_out_where_others_have_one(tmp_path):
    rows = [{"step": k, "loss": k} for k in range(5)] + [{"loss": 9.0}] * 2
    (tmp_path / "log").write_text("\n".join(json.dumps(row) for row in rows))
    log = read_log(tmp_path / "log")
    np.testing.assert_array_equal(log.loss, range(5))
    assert log.placeless == 2


COLUMNS = "step,loss_a,loss_b,val_loss\n" + "".join(f"{k},{k},{2 * k},9\n" for k in range(1, 6))


def test_of_several_losses_one_must_be_chosen_and_all_that_may_be_meant_are_listed(tmp_path):
    (tmp_path / "log.csv").write_text(COLUMNS)
    with pytest.raises(InputError, match=r"2 loss columns: 'loss_a' \(5 values\), 'loss_b' \(5 values\); choose one"):
        read_log(tmp_path / "log.csv")
    assert read_log(tmp_path / "log.csv", "loss_b").loss.tolist() == [2, 4, 6, 8, 10]
    assert read_log(tmp_path / "log.csv", "val_loss").other_columns == ("loss_a", "loss_b")


def test_a_wrong_column_is_told_with_the_nearest(tmp_path):
    (tmp_path / "log.csv").write_text(COLUMNS)
    with pytest.raises(InputError, match=r"unknown loss column in .*log.csv: 'los_b': did you mean 'loss_b'\?"):
        read_log(tmp_path / "log.csv", "los_b")
