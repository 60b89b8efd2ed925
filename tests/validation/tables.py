"""The tables of docs/validation.md: what is known, who says so, what is run, and how to make what comes out."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tests.validation import noise_floor, noisy_quadratic, own_steps, reversal, scaling, tail
from tests.validation.noise_floor import halvings

FLOORS = "`least_squares(32, 4)`, B = 1, lr = 0.004, 0.002, 0.001; 64 seeds, epochs 1000 to 2000 from the optimum"
PAIRS = "`least_squares(32, 2)`, B = 1, two order seeds; 16 data seeds, lr = 1/256 ... 1/2048, 2 epochs"
CYCLES = "the same, lr = 0.008 ... 0.001, 1200 epochs"

YING = 'Ying, Yuan, Vlaski, Sayed 2018, "Stochastic learning under random reshuffling with constant step-sizes"'
SAFRAN = 'Safran, Shamir 2020, "How good is SGD with random shuffling?"'
NGUYEN = (
    'Nguyen, Phan, Kalagnanam 2026, "Learning to shuffle: block reshuffling and reversal schemes for stochastic optimization"'
)
RAJPUT = 'Rajput, Lee, Papailiopoulos 2022, "Permutation-based SGD: is random optimal?"'
ZHANG = 'Zhang et al. 2019, "Which algorithmic choices matter at which batch sizes?"'
MCCANDLISH = 'McCandlish, Kaplan, Amodei et al. 2018, "An empirical model of large-batch training", appendix A.1'
ARTICLE = "the article that the program starts from"
WANG = 'Wang, Manry, Schiano 2000, "LMS learning algorithms: misconceptions and new results on convergence"'


class Row(NamedTuple):
    """One line of a table.

    Attributes:
      fact: what is known.
      source: who says so.
      setting: what is run.
      measured: runs it, and says what came out.
    """

    fact: str
    source: str
    setting: str
    measured: Callable[[], str]


def numbers(values, digits: int = 2) -> str:
    return ", ".join(f"{value:.{digits}f}" for value in values)


@functools.cache
def floor(order: str, **how) -> noise_floor.Floor:
    return noise_floor.measure(order, **{"num_inputs": 4, "seeds": 64, "epochs": 2000} | how)


def slopes(order: str) -> str:
    measured = floor(order)
    parts = [f"{slope:.2f} ± {error:.2f}" for slope, error in zip(measured.slope, measured.slope_error, strict=True)]
    exact = "" if measured.exact is None else f"; exactly {numbers(measured.exact_slope)}"
    return f"slopes {', '.join(parts)}{exact}"


def against_exact(order: str, **how) -> str:
    measured = floor(order, **how)
    parts = [f"{ratio:.3f} ± {error:.3f}" for ratio, error in zip(measured.ratio, measured.ratio_error, strict=True)]
    return f"simulated / exact {', '.join(parts)}"


def largest_off(order: str) -> str:
    measured = floor(order)
    off = np.abs(measured.simulated / measured.exact - 1).max()
    return f"slopes {numbers(measured.slope)}; of each seed's exact floor at most {off:.0e} off"


def floors_apart() -> str:
    once, anew, flip = (floor(order).simulated.mean(axis=0) for order in ("shuffle_once", "reshuffle", "flip_flop"))
    return f"{numbers(once / flip, 0)} times lower than `shuffle_once`, {numbers(anew / flip, 1)} times lower than `reshuffle`"


def apart(**how) -> str:
    once, flip = (halvings(reversal.apart(order, **how)) for order in ("shuffle_once", "flip_flop"))
    return f"slopes {numbers(once)} for `shuffle_once`, {numbers(flip)} for `flip_flop`"


def order_free() -> str:
    ends = reversal.ends("flip_flop", epochs=1200, rates=reversal.CYCLE_RATES)
    left = reversal.rms(ends.weights[:, 0] - reversal.order_free_distance(ends.data, reversal.CYCLE_RATES))
    optimum = reversal.order_free_distance(ends.data, np.zeros(len(reversal.CYCLE_RATES)))
    distance = reversal.rms(ends.weights[:, 0] - optimum)
    return f"distance from the optimum: slopes {numbers(halvings(distance))}; from this point: {numbers(halvings(left))}"


def risk() -> str:
    risks = {size: noisy_quadratic.measure(size, seeds=16_000) for size in noisy_quadratic.BATCH_SIZES}
    parts = [f"{np.abs(estimate.z).max():.1f} at B = {size}" for size, estimate in risks.items()]
    error = max((estimate.error / estimate.exact).max() for estimate in risks.values())
    return f"of 20 steps the most standard errors off: {', '.join(parts)}; a standard error is at most {100 * error:.1f} %"


@functools.cache
def steps() -> scaling.Steps:
    return scaling.measure()


def tuned_steps() -> str:
    mean, exact = steps().tuned
    same = int(np.sum(steps().best[0] == steps().best[1]))
    ratios = numbers(mean / exact, 3)
    return f"the same best rate at {same} of {len(mean)} batch counts; steps / exact {ratios} at m = {_counts()}"


def tuned_runs() -> str:
    return f"median steps / exact {numbers(steps().runs / steps().tuned[1])} at m = {_counts()}"


def _counts() -> str:
    return ", ".join(map(str, scaling.BATCH_COUNTS))


def largest_difference() -> str:
    tails = [tail.measure(order) for order in ("fixed", "shuffle_once", "flip_flop")]
    run = max(max(result.weights, result.loss) for result in tails)
    return f"the run at most {run:.0e} off, `limit_cycle` {max(result.solved for result in tails):.0e}"


def estimates() -> str:
    estimates_by_size = {size: own_steps.noise_parts(size, seeds=4000) for size in (1, 10)}
    parts = [
        f"{part.trace:.4f} ± {part.trace_error:.4f} and {part.square:.4f} ± {part.square_error:.4f} from groups of {size}"
        for size, part in estimates_by_size.items()
    ]
    return f"estimate / exact, tr(Sigma) and \\|G\\|^2: {'; '.join(parts)}"


def share_off() -> str:
    shares = own_steps.shares(seeds=8)
    off = np.abs(shares.exact / shares.predicted - 1).max()
    return f"at most {100 * off:.2f} % off; mean own share {numbers(shares.exact.mean(axis=0), 3)}"


def claim() -> str:
    ten, cosine = (part[:, 2] for part in (own_steps.shares(16, num_samples=1000))[::2])
    return f"at m = 10 own share {ten.mean():.3f}, from {ten.min():.3f} to {ten.max():.3f}; mean cosine {cosine.mean():.2f}"


def frozen() -> str:
    parameters, loss = own_steps.frozen_slopes(own_steps.frozen(seeds=8))
    return f"slopes {numbers(parameters)} in the parameters, {numbers(loss)} in the loss"


TABLES = {
    "Orders": [
        Row(
            "With replacement, the mean squared distance to the optimum is O(lr): slope 1",
            YING,
            FLOORS,
            lambda: slopes("replacement"),
        ),
        Row(
            "... and solves the linear equations of its second moments",
            "`exact.py`, from the definition",
            "the same",
            lambda: against_exact("replacement"),
        ),
        Row(
            "Reshuffled, it is O(lr^2); lr^2 + n^2 lr^3, between slopes 2 and 3",
            f"{YING}; {SAFRAN}",
            FLOORS,
            lambda: slopes("reshuffle"),
        ),
        Row(
            "... and solves those averaged over all orders",
            "`exact.py`, from the definition",
            "`least_squares(8, 2)`: 8! orders; lr = 0.02, 0.01, 0.005; 64 seeds",
            lambda: against_exact("reshuffle", num_samples=8, num_inputs=2, rates=(0.02, 0.01, 0.005)),
        ),
        Row("Shuffled once, n lr^2: slope 2", SAFRAN, FLOORS, lambda: largest_off("shuffle_once")),
        Row("In a fixed order, n^2 lr^2 at worst: slope 2", SAFRAN, FLOORS, lambda: largest_off("fixed")),
        Row(
            "On quadratics a reversal in every second epoch does better than random orders",
            RAJPUT,
            "the floor of `flip_flop` in the same runs",
            floors_apart,
        ),
        Row(
            "A reversal takes the order's influence on a pair of epochs from lr^2 to lr^3",
            NGUYEN,
            PAIRS,
            lambda: apart(epochs=2, rates=reversal.PAIR_RATES),
        ),
        Row(
            "... and on where the run ends up from lr to lr^2",
            "`reversal.py`, derived there",
            CYCLES,
            lambda: apart(epochs=1200, rates=reversal.CYCLE_RATES),
        ),
        Row(
            "... but not to the optimum: an order-free distance of -(lr/2) H^-1 mean(A_t g_t) stays, up to lr^2",
            "`reversal.py`, derived there",
            CYCLES,
            order_free,
        ),
    ],
    "Gradient noise": [
        Row(
            "The risk of the noisy quadratic model follows s <- (1 - lr h)^2 s + lr^2 h / B",
            ZHANG,
            "`noisy_quadratic`, 20 curvatures, lr = 0.5, one epoch of 20 steps; 16,000 seeds",
            risk,
        ),
        Row(
            "tr(Sigma) and \\|G\\|^2 have unbiased estimates from gradients over groups and over all samples",
            MCCANDLISH,
            "`noise` on `noisy_quadratic(100, 20)`; 4000 data seeds",
            estimates,
        ),
    ],
    "Batch-count scaling": [
        Row(
            "Steps of the mean loss to a target at the best fixed rate, by the recurrence",
            ZHANG,
            "`noisy_quadratic` in the order `replacement`, excess loss 0.05, 9 rates; mean over 40 order seeds",
            tuned_steps,
        ),
        Row(
            "... which single runs reach sooner: their loss scatters around the mean, and the first dip below counts",
            "the definition of steps to a target",
            "the same runs, one by one",
            tuned_runs,
        ),
    ],
    "Measures": [
        Row(
            "In a repeating order, constant-rate SGD on least squares has a limit cycle",
            f"{WANG}; `exact.py` solves for it",
            "`least_squares(12, 3)` in 5 batches, lr = 0.05, 800 epochs, `fixed`, `shuffle_once`, `flip_flop`: "
            "weights and losses at every position",
            largest_difference,
        ),
        Row(
            "To first order the own share is (1 + V / \\|G\\|^2) / m",
            "the definition, with effect = -lr <g_j, g_t>",
            "`influence`, the article's network with 200 samples, m = 2, 5, 10, 20, lr = 0.001; 8 seeds",
            share_off,
        ),
        Row(
            "A batch's loss falls mainly through its own step",
            f"{ARTICLE}; not so",
            "`influence`, the article's network and 1000 samples, lr = 0.001, first epoch; 16 seeds",
            claim,
        ),
        Row(
            "An epoch with frozen gradients is off by lr^2: slope 2",
            f"{ARTICLE} (its first-order epoch)",
            "`influence`, 100 hidden units, 200 samples, m = 10, lr = 1/32 ... 1/512; 8 seeds",
            frozen,
        ),
    ],
}


def text(row: Row) -> str:
    """The part of a row's line that is the same in every run."""
    return f"| {row.fact} | {row.source} | {row.setting} |"
