"""Which learning rate does each optimizer want, and does that depend on the batch count?

Command: jaxsgd run hyperparameters
"""

from jaxsgd import Study

STUDY = Study(
    problem="square_regression",
    problem_args={"num_samples": 1000, "num_hidden": 50},
    seeds=range(8),
    batch_counts=[1, 10, 50],
    orders=["reshuffle"],
    optimizers=["sgd", "momentum", "nesterov", "adam", "rmsprop", "lion"],
    learning_rates=[10.0**k for k in (-4, -3.5, -3, -2.5, -2, -1.5, -1, -0.5, 0)],
    epochs=20,
    record="epoch",
)
