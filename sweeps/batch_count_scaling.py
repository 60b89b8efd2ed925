"""How many batches should an epoch have, when the learning rate is tuned for each batch count?

Command: jaxsgd run batch_count_scaling && jaxsgd plot results/batch_count_scaling
Cost:    1,408 runs of 20 epochs, about 8 s on 2 cores; 1 MiB
Finding: Below the best rate the loss depends on rate times batch count alone: 0.949 at (rate, m) = (1/8, 1), (1/16,
         2), ..., (1/512, 64), the linear scaling rule. The best rate is 1, the edge of stability, up to m = 4, and
         halves with every doubling of m from there, down to 1/32 at m = 128. Tuned so, 20 epochs reach 0.529 at m =
         1, 0.508 at 2, and 0.501 to 0.502 from m = 4 on: more batches stop helping where noise, not the number of
         steps, limits the rate. 17 runs at rate 2 diverge.
"""

from jaxsgd import Study

STUDY = Study(
    problem="least_squares",
    problem_args={"num_samples": 1024, "num_inputs": 20, "condition": 100.0},
    seeds=range(16),
    batch_counts=[1, 2, 4, 8, 16, 32, 64, 128],
    orders=["reshuffle"],
    optimizer="sgd",
    learning_rates=[2.0**k for k in range(-9, 2)],
    epochs=20,
    record="epoch",
)
