"""The claim, measured: hand-made effects with known shares, and sentences that follow from the numbers."""

import dataclasses

import jax
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd.article.claim import Claim, ClaimMap, claim_map, measure_claim, pooled_share
from jaxsgd.article.claim_finding import (
    claim_findings,
    influence_title,
    late_sentence,
    map_sentence,
    map_title,
    share_sentence,
    share_title,
)
from jaxsgd.article.claim_steps import joined, map_calls, map_epochs, shown_influence, territories
from jaxsgd.article.experiment import STRIPED
from tests import probe

INF, NAN = np.inf, np.nan


def seen(effect, loss=None, gram=None):
    """An influence of R runs with given effects [R, C, m, m]."""
    effect = np.asarray(effect, np.float64)
    runs, epochs, m = effect.shape[:3]
    loss = np.zeros((runs, epochs, m)) if loss is None else np.asarray(loss, np.float64)
    gram = np.broadcast_to(np.eye(m), effect.shape) if gram is None else gram
    number = np.broadcast_to(np.arange(epochs), (runs, epochs))
    none = np.zeros((runs, epochs))
    return jaxsgd.measure.Influence(number, loss, effect, gram, loss, none, none)


def test_shares_are_the_own_parts_of_the_fall():
    first, second = np.array([[-3.0, -1.0], [-2.0, -4.0]]), np.array([[-5.0, -2.0], [-1.0, -2.0]])
    claim = measure_claim(seen([[first, second]]), seen([[first, second]]), late_epoch=1, eval_interval=1)
    np.testing.assert_allclose(claim.own_share, [14 / 20])
    # Batch 0: its own step -3, then the other's -1. Batch 1: its own -4, then the next epoch's first step -1.
    np.testing.assert_allclose(claim.visit_share, [7 / 9])
    np.testing.assert_allclose(claim.first_order_share, [1])
    np.testing.assert_allclose(claim.cosine, [0], atol=1e-15)
    assert claim.late_share == pytest.approx(7 / 10)
    assert claim.late_epoch == 1


def pooled(effect):
    """The pooled share of effects [R, m, m]."""
    effects = seen(effect[:, None])
    return pooled_share(effects.own_change, effects.change)


def test_runs_are_pooled_by_their_falls():
    # Falls of 1 and 9, with own parts 1 and 0: a tenth, not the half that the mean of the two shares is.
    assert pooled(np.array([[[-1.0, 0.0], [0.0, 0.0]], [[0.0, -9.0], [0.0, 0.0]]])) == pytest.approx(0.1)
    # The own steps lower the loss by 2, all steps together raise it.
    assert pooled(np.array([[[-1.0, 3.0], [3.0, -1.0]]])) == INF
    # The own steps raise the loss: of what would they have a share?
    assert np.isnan(pooled(np.array([[[1.0, -3.0], [-3.0, 1.0]]])))
    # A run that is not finite says nothing of a cell; places without a batch are no batches.
    assert np.isnan(pooled(np.full((2, 3, 3), NAN)))
    padded = np.full((1, 3), NAN)
    padded[0, :2] = -1.0
    assert pooled_share(padded, 2 * padded) == pytest.approx(0.5)


def claimed(visit, late=0.2, composition=(1.0,), m=10, cosine=(0.4,)):
    """A claim with given shares."""
    shares = np.asarray(visit, np.float64)
    return Claim(m, shares, shares, shares, np.asarray(cosine), np.asarray(composition), late, 99)


@pytest.mark.parametrize(
    ("visit", "words"),
    [
        ([0.1, 0.3], ["makes 20.0 % of its fall", "mean of 2 seeds", "between 10.0 % and 30.0 %", "the claim does not hold."]),
        ([0.6, 0.8], ["the claim holds."]),
        ([0.6, 0.3, 0.2, NAN], ["mean of 3 seeds", "the claim holds for 1 of 3 seeds."]),
        ([0.3], ["mean of 1 seed)", "the claim does not hold."]),
        ([NAN, NAN], ["In no seed does a batch's own step lower its loss"]),
        (
            [0.7, INF],
            ["makes 70.0 % of its fall (mean of 1 seed; in 1 more seeds the other steps undo the fall): the claim holds."],
        ),
        ([INF, INF], ["the other steps undo that, in all 2 seeds: the claim holds."]),
    ],
)
def test_the_verdict_follows_from_the_shares(visit, words):
    assert all(part in share_sentence(claimed(visit)) for part in words)


def test_other_findings_follow_too():
    listed = claim_findings("A", claimed([0.2]))
    listed += claim_findings("B", claimed([0.2], composition=[0.5, 0.7, NAN], cosine=[-0.5]))
    assert "A: In the shown run's last epoch, number 100, the own share is 20.0 %." in listed
    assert any("A: Gradients of different batches point in similar directions (mean cosine 0.40)" in line for line in listed)
    assert any("composition of the batches makes the whole gap" in line for line in listed if line.startswith("A"))
    assert any("makes 60.0 % of the gap between stripes (median of 2 seeds)" in line for line in listed if line.startswith("B"))
    assert any("oppose each other" in line for line in listed if line.startswith("B"))
    assert late_sentence(claimed([0.2], late=NAN)) == ""


def panel(share):
    return ClaimMap("a bowl", (2, 5), (0, 10, 30), np.asarray(share), np.ones(3), 4)


def test_the_map_says_from_when_on_the_claim_holds():
    assert "2 batches: always; 5 batches: from epoch 10 on" in map_sentence(panel([[0.6, 0.7, INF], [0.2, 0.6, 0.9]]))
    assert "2 batches: from epoch 30 on; 5 batches: never" in map_sentence(panel([[0.6, 0.3, INF], [0.2, 0.6, NAN]]))
    assert "at none of the measured batch counts" in map_sentence(panel(np.full((2, 3), 0.1)))
    assert "no run stayed finite" in map_sentence(panel(np.full((2, 3), NAN)))
    turned = panel([[0.6, 0.7, INF], [0.2, 0.6, 0.9]])
    assert map_title([turned]) == "Early on, other steps lower a batch's loss; near the optimum, its own"
    assert map_title([panel(np.full((2, 3), 0.1))]) == "Early on, other steps lower a batch's loss"
    assert map_title([panel(np.full((2, 3), 0.9))]) == "Where a batch's loss falls mainly through its own step"


def test_titles_follow_from_the_matrices():
    assert "Every step lowers the loss of every batch; the own one makes 60.0 %" in influence_title(
        np.array([[-3.0, -2.0], [-2.0, -3.0]])
    )
    assert "own step makes 75.0 % of its fall, the other 1 make" in influence_title(np.array([[-3.0, 1.0], [-3.0, -3.0]]))
    assert influence_title(np.full((2, 2), NAN)) == "The run did not stay finite"
    assert influence_title(-np.ones((1, 1))) == "With one batch there is no other step"
    assert share_title([claimed([0.1, 0.2])]).endswith("other batches' steps, in every seed")
    assert share_title([claimed([0.8])]).endswith("through its own step, in every seed")
    assert share_title([claimed([0.8, 0.1]), claimed([0.2])]).endswith("its own step in 1 of 3 runs")
    assert share_title([claimed([NAN])]) == "In no run does a batch's own step lower its loss"


def test_the_shown_influence_is_that_of_the_runs_first_epoch():
    problem = probe.network(num_samples=20)
    experiment = dataclasses.replace(STRIPED, num_samples=20, batch_count=4, eval_interval=2, epochs=3, learning_rate=0.1)
    shown = shown_influence(problem, 5, experiment)
    assert shown.effect.shape == (1, 1, 4, 4)
    run = jaxsgd.simulate(problem, jax.random.key(5), optimizer=optax.sgd(0.1), epochs=1, batch_count=4)
    np.testing.assert_allclose(shown.printed_loss[0], run.loss, rtol=1e-5)


def test_the_map_is_the_influence_of_its_problems():
    # Two seeds of least squares, which is the quicker one to compile; batch counts 2 and 10 at epochs 0 and 10.
    line = territories()[1]
    (parts,) = map_calls(quick=True)[1:]
    measured = claim_map(line, joined([call() for call in parts]), map_epochs(quick=True))
    assert (measured.seeds, measured.share.shape) == (2, (6, 5))
    optimizer = optax.sgd(line.learning_rate)
    whole = [
        jaxsgd.influence(line.problem, jax.random.key(seed), optimizer=optimizer, at=[0, 10], batch_count=[2, 10])
        for seed in range(2)
    ]
    own, change = (np.nansum([getattr(run, name) for run in whole], axis=(0, -1)) for name in ("own_change", "change"))
    np.testing.assert_allclose(measured.share[np.ix_([0, 2], [0, 3])], own / change, rtol=1e-3)
