"""How many batches should an epoch have, when the learning rate is tuned for each batch count?

Command: jaxsgd run batch_count_scaling
"""

from jaxsgd import Study

STUDY = Study(
    problem="least_squares",
    problem_args={"num_samples": 1024, "num_inputs": 20, "condition": 100},
    seeds=range(16),
    batch_counts=[1, 2, 4, 8, 16, 32, 64, 128],
    orders=["reshuffle"],
    optimizer="sgd",
    learning_rates=[2.0**k for k in range(-9, 2)],
    epochs=20,
    record="epoch",
)
