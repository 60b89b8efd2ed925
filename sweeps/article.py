"""Does a fixed order of mini-batches split the printed loss into stripes, and does averaging over an epoch hide them?"""

from jaxsgd import Study

STUDY = Study(
    problem="square_regression",
    seeds=range(64),
    batch_counts=[1, 2, 5, 10, 20, 50],
    orders=["fixed", "reshuffle"],
    optimizer="sgd",
    learning_rates=[1e-3],
    epochs=40,
    eval_interval=5,
)
