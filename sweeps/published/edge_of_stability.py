"""How far does the sharpness rise during full-batch gradient descent?

Command: jaxsgd run published/edge_of_stability
Cost:    TODO
Finding: TODO
"""

from jaxsgd import Study

STUDY = Study(
    problem="tanh_network",
    problem_args={"num_samples": 64, "num_inputs": 8, "num_hidden": 32, "depth": 2},
    seeds=range(8),
    batch_counts=[1],
    orders=["fixed"],
    optimizer="sgd",
    learning_rates=[0.01, 0.1, 0.2, 0.3, 0.4],
    epochs=2000,
    observe=["sharpness"],
    observe_every=25,
    record="epoch",
)
