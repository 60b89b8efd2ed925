"""What do the six orders do to the printed loss, on the same data and the same initial weights?

Command: jaxsgd run orders
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
