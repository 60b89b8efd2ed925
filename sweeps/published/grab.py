"""Does an order that balances gradients come nearer to the optimum than reshuffling?

Command: jaxsgd run published/grab
         jaxsgd plot slices results/grab --axis order --metric excess_loss
Cost:    TODO
Finding: TODO
"""

from jaxsgd import Study

STUDY = Study(
    problem="least_squares",
    problem_args={"num_samples": 256, "num_inputs": 10},
    seeds=range(16),
    batch_sizes=[1, 4],
    orders=["reshuffle", "flip_flop", "grab", "pair_balance"],
    optimizer="sgd",
    learning_rates=[0.02, 0.01, 0.005, 0.0025],
    epochs=60,
    dtype="float64",
    observe=["excess_loss"],
    record="epoch",
)
