"""How far does the sharpness rise during full-batch gradient descent?

Command: jaxsgd run published/edge_of_stability
         jaxsgd plot curves results/edge_of_stability --metric sharpness
Cost:    40 runs of 2,000 epochs with 80 measurements each, 35 s of CPU time; 0.3 MiB
Finding: Up to 2 / (learning rate), where it stays, as Cohen et al. 2021 (arXiv 2103.00065) report for larger networks. At the
         rate 0.01 nothing stops it: it rises for all 2,000 epochs, to 27 (18.6 to 35.9 over 8 seeds), far below 2 / rate = 200.
         At 0.1 it is 6.7 to 11.6 after 25 epochs, reaches 20 within 75 to 250, swings around it (up to 1.4 times as much)
         and ends there. At 0.2 to 0.4 it is near 10, 6.7 and 5 within 75 epochs, and ends at these. At last
         rate * sharpness / 2 is between 0.989 and 1.001 in all 32 runs at 0.1 or more, and their losses are below 2e-5:
         training goes on at the edge.
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
