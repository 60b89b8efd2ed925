"""What do the six orders do to the printed loss, on the same data and the same initial weights?

Command: jaxsgd run orders && jaxsgd plot results/orders
Cost:    384 runs of 40 epochs, about 15 s on 2 cores; 2 MiB
Finding: `fixed` and `shuffle_once` have stripes (median stripe index above 0.999); `reshuffle`, `reshuffle_batches`
         and `replacement` have none (index within 0.02 of 0), so what makes stripes is that batches keep their
         places, not that they keep their members. `flip_flop` lies between: with 4 stripes at m = 20 it has index
         0.30, with 2 at m = 10 its two directions swap the stripes and the index is -0.02. What is reached after 40
         epochs is the same to 1e-5 for all but `replacement`, whose epoch loss is a mean over other samples (higher
         by 0.025 with a standard error of 0.013).
"""

from jaxsgd import Study

STUDY = Study(
    problem="square_regression",
    problem_args={"num_samples": 1000, "num_hidden": 100},
    seeds=range(32),
    batch_counts=[10, 20],
    orders=["fixed", "shuffle_once", "reshuffle", "reshuffle_batches", "flip_flop", "replacement"],
    optimizer="sgd",
    learning_rates=[1e-2],
    epochs=40,
    eval_interval=5,
)
