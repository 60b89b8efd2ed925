"""Which learning rate and momentum does each optimizer want, and does that depend on the batch count?

Command: jaxsgd run hyperparameters
         jaxsgd measure results/hyperparameters
         jaxsgd plot all results/hyperparameters
Cost:    2,730 runs of 10 epochs, about 35 s on 2 cores; 0.5 MiB
Finding: The best rate falls as an epoch has more batches, for every optimizer on `digits`: from m = 4 to 100 SGD's from 1
         to 0.316, of momentum and Nesterov from 0.316 to 0.0316, of Adam from 0.0316 to 0.01, of Lion from 0.01 to 0.001. At
         m = 4 the choice of optimizer matters: validation loss 0.129 with Nesterov and 0.138 with Adam, 0.319 with SGD. At m =
         100 the intervals of all seven overlap, from 0.081 with RMSProp to 0.107 with Lion. No best rate lies at the edge.
         Momentum over a grid or at random, and the same on the article's network: docs/hyperparameters.md.
"""

from jaxsgd import Study

STUDY = Study(
    problem="digits",
    held_out=0.2,
    seeds=range(10),
    batch_counts=[4, 20, 100],
    orders=["reshuffle"],
    optimizers=["sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop", "lion"],
    learning_rates=[10.0 ** (k / 2) for k in range(-8, 5)],
    epochs=10,
    record="epoch",
)
