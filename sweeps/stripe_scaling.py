"""How far apart do stripes lie at each batch size, and is that more than sampling alone gives?

Command: jaxsgd run stripe_scaling
         jaxsgd measure results/stripe_scaling --noise
         jaxsgd plot stripe_law results/stripe_scaling --sigma 2.74
Cost:    480 runs of 20 epochs, about 25 s on 2 cores; 0.1 MiB
Finding: No, it is that. A single sample's loss has a standard deviation of 2.74 along the runs, so the mean over
         a batch scatters by 2.74 / sqrt(B), and m such means span a range that grows with m. In the fixed order the median
         gap over 20 seeds is within 21 % of that at all batch sizes from 4 (gap 7.6) to 500 (0.14), and the stripe index is
         1.00. Reshuffled, levels average 20 draws: the gap is sqrt(20) times smaller, and the index 0.00 to -0.03.
"""

from jaxsgd import Study

STUDY = Study(
    problem="square_regression",
    seeds=range(20),
    batch_counts=[2, 4, 5, 10, 20, 25, 40, 50, 100, 125, 200, 250],
    orders=["fixed", "reshuffle"],
    optimizer="sgd",
    learning_rates=[1e-3],
    epochs=20,
    record="epoch",
)
