"""Are momentum and weight averaging more than another learning rate?

Command: jaxsgd run published/momentum_and_averaging
         jaxsgd plot own results/momentum_and_averaging --study published/momentum_and_averaging
Paper:   Zhang et al. 2019, "Which algorithmic choices matter at which batch sizes? Insights from a noisy quadratic model"
         (arXiv 1907.04164): the mean and the variance of the weights under SGD with momentum, and of their exponential moving
         average, follow linear recursions. At small batches momentum gains nothing over SGD at another rate; averaging lowers
         the risk at the end, so that small batches need fewer steps to a target.
Cost:    2,000 runs of 200 steps, 13 s of CPU time; 31 MiB
Finding: Momentum is not, at batches of one sample; averaging is. Momentum 0.9 at the rate 0.04 ends at the risk 0.364 (exact:
         0.361), SGD at ten times the rate at 0.398 (0.398), along nearly the same curve. The average of SGD's weights lags by
         some ten steps (risk 0.87 after 10 steps, where SGD has 0.67), passes SGD before step 20, and ends at 0.177 (0.178),
         less than half. Each of the 600 mean risks is within 3.3 standard errors of its recursion.
Differs: 20 curvatures in place of the paper's 10,000, and a constant rate. The average is taken from the stored weights. The
         recursions are written in this file from the update rules.
"""

import numpy as np

from jaxsgd import Study
from jaxsgd.plot.layout import label_ends, panels
from jaxsgd.plot.style import COLOURS, slide

MOMENTUM = 0.9  # of the optimizer "momentum"
KEPT = 0.9
"""Share of the moving average that a step keeps."""

STUDY = Study(
    problem="noisy_quadratic",
    problem_args={"num_samples": 200, "num_inputs": 20},
    seeds=range(1000),
    batch_counts=[200],
    orders=["fixed"],
    optimizers=["sgd", "momentum"],
    learning_rates=[0.4, 0.04],
    zipped=[["optimizer", "learning_rate"]],
    epochs=1,
    observe_batches=["jaxsgd.measure.weights:weights"],
    observe_every=1,
    record="epoch",
)


def curvatures(ds):
    """Return the curvatures of the directions, [D]."""
    return 1 / np.arange(1, ds.sizes["parameter"] + 1)


def averages(weights):
    """Return the exponential moving average of weights [..., steps, D] before each step; it begins at the first weights."""
    mean = weights.copy()
    for step in range(1, weights.shape[-2]):
        mean[..., step, :] = KEPT * mean[..., step - 1, :] + (1 - KEPT) * weights[..., step, :]
    return mean


def measured(ds):
    """Return the mean risk before each step and its standard error, [3, steps] each: SGD, momentum, SGD averaged."""
    weights = ds.weights_batch.squeeze().astype(float)
    weights = weights.transpose(..., "seed", "batch", "parameter").values
    both = [weights[0], weights[1], averages(weights[0])]
    risk = np.array([(curvatures(ds) * part**2).sum(axis=-1) / 2 for part in both])
    return risk.mean(axis=1), risk.std(axis=1, ddof=1) / np.sqrt(risk.shape[1])


def exact(ds):
    """Return the same by recursion, [3, steps].

    Of each direction the state is (weight, velocity, average); a step is a linear map of it plus noise, so that the matrix of
    second moments S becomes A S A' + Q.
    """
    curvature, size = curvatures(ds), float(ds.batch_size[0])
    risks = []
    for rate, momentum, shown in ((0.4, 0.0, 0), (0.04, MOMENTUM, 0), (0.4, 0.0, 2)):
        risk = np.zeros(ds.sizes["batch"])
        for h in curvature:
            weight = np.array([1 - rate * h, -rate * momentum, 0])
            velocity = np.array([h, momentum, 0])
            step = np.array([weight, velocity, KEPT * np.array([0, 0, 1]) + (1 - KEPT) * weight])
            kick = np.array([-rate, 1, -(1 - KEPT) * rate])
            noise = h / size * kick[:, None] * kick
            start = np.array([1.0, 0, 1])
            moments = start[:, None] * start
            for place in range(len(risk)):
                risk[place] += h * moments[shown, shown] / 2
                moments = step @ moments @ step.T + noise
        risks.append(risk)
    return np.array(risks)


def figure(ds):
    """Draw the mean risk against the steps, with the exact lines."""
    risk, lines = measured(ds)[0], exact(ds)
    steps = np.arange(risk.shape[1])
    drawn = slide(
        "At small batches momentum is only a higher rate; averaging ends at less than half the risk",
        f"Noisy quadratic model, batches of one, mean of {ds.sizes['seed']:,} runs. Dots: simulated; lines: exact recursion",
    )
    axes = panels(drawn)[0, 0]
    for values, line, shade in zip(risk, lines, COLOURS, strict=False):
        axes.plot(steps, line, color=shade, linewidth=1.5)
        axes.plot(steps[::8], values[::8], "o", color=shade, markersize=5)
    texts = ["SGD, rate 0.4", f"momentum {MOMENTUM:g},\nrate 0.04", "SGD, rate 0.4,\naveraged"]
    label_ends(axes, lines[:, -1], texts, COLOURS[:3])
    axes.set(xlabel="steps", ylabel="mean risk", yscale="log")
    return drawn
