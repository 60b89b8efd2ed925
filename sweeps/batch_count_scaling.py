"""How many steps does it take to reach a target, at each batch count with its own best rate?

Command: jaxsgd run batch_count_scaling
         jaxsgd measure results/batch_count_scaling --target 0.2 --noise
         jaxsgd plot scaling results/batch_count_scaling --target 0.2
Cost:    2,880 runs of 30 epochs, about 45 s on 2 cores; 1 MiB
Finding: Three regimes, as in Shallue et al. 2019, on `digits`, to a validation loss of 0.2: twice the batch halves the steps up
         to B = 16 (676 steps at B = 4, 193 at 16), and from B = 180 on hardly saves any (64 there, 54 at 719). Between them
         lies the critical batch size of 50 samples (95 % interval 45 to 59); the gradient noise scale along the best runs is 20
         to 41. The best rate doubles with the batch up to B = 16, as the linear rule has it, and stays at 1 from B = 60 on, so
         that over all sizes it grows as B^0.37: from the rate of B = 4, the linear rule never arrives past B = 30, and the
         square-root rule takes up to 1.6 times the steps.
         The article's network and `noisy_quadratic`, each on one data set, are in docs/batch_count_scaling.md.
"""

from jaxsgd import Study

STUDY = Study(
    problem="digits",
    held_out=0.2,
    seeds=range(20),
    batch_counts=[2, 3, 4, 6, 8, 12, 16, 24, 48, 90, 180, 360],
    orders=["reshuffle"],
    optimizer="sgd",
    learning_rates=[2.0**k for k in range(-8, 4)],
    epochs=30,
    record="epoch",
)
