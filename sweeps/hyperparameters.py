"""Which learning rate does each optimizer want, and does that depend on the batch count?

Command: jaxsgd run hyperparameters && jaxsgd plot results/hyperparameters --kind heatmap
Cost:    1,440 runs of 20 epochs, about 25 s on 2 cores; 1 MiB
Finding: The adaptive optimizers want rates of 0.003 to 0.1 and plain SGD one of 32, at every batch count: its
         gradients are small where sigmoids saturate. More batches reach a lower loss with every optimizer but Lion,
         which gains little. The lowest after 20 epochs is RMSProp's, 2.001, 1.920 and 1.889 at m = 1, 10 and 50,
         against SGD's 2.016, 1.969 and 1.935.
"""

from jaxsgd import Study

STUDY = Study(
    problem="square_regression",
    problem_args={"num_samples": 1000, "num_hidden": 50},
    seeds=range(8),
    batch_counts=[1, 10, 50],
    orders=["reshuffle"],
    optimizers=["sgd", "momentum", "nesterov", "adam", "rmsprop", "lion"],
    learning_rates=[10.0**k for k in (-2.5, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2)],
    epochs=20,
    record="epoch",
)
