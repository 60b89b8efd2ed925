"""Does an order that balances gradients come nearer to the optimum than reshuffling?

Command: jaxsgd run published/grab
         jaxsgd plot slices results/grab --axis order --metric excess_loss
Cost:    512 runs of 60 epochs, 40 s of CPU time; 0.8 MiB
Finding: Yes, as Lu et al. 2022 (arXiv 2205.10733, `grab`) and Cooper et al. 2023 (arXiv 2302.00845, `pair_balance`) claim. With
         one sample in a batch, `reshuffle` ends with 20, 71, 99 and 56 times the excess loss of `grab` at the rates 0.02, 0.01,
         0.005 and 0.0025 (medians of 16 seeds; the least of all 64 ratios is 3.7), and with 9, 28, 84 and 53 times that of
         `pair_balance`. The gain comes early: at the rate 0.01 it is 4.6 times in the third epoch and 43 times in the sixth.
         With batches of 4 samples it is smaller, 17, 8.6, 3.6 and 1.6 times for `grab`, and at the two small rates `flip_flop`,
         which looks at no gradient, is better than `grab`. The papers train classifiers and language models, the second one on
         several workers. This is least squares on one worker, where the excess loss is exact. The signs are those of their
         code: a gradient gets the sign that keeps the sum of all short.
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
