"""Which optimizer is best, each tuned under the same budget and judged on seeds that did not tune it?

Command: jaxsgd run optimizer_benchmark --out results/digits
         jaxsgd run optimizer_benchmark --set problem=square_regression
           --set 'problem_args={"num_samples": 1000, "num_hidden": 50}' --out results/square_regression
         jaxsgd run optimizer_benchmark --set problem=least_squares --out results/least_squares
         jaxsgd run optimizer_benchmark --set problem=noisy_quadratic --out results/noisy_quadratic
         jaxsgd compare results/digits results/square_regression results/least_squares results/noisy_quadratic
           --tuning-seeds 20 --metric validation_loss --csv optimizer_benchmark.csv
Cost:    3,640 runs of 10 epochs a problem, about 20 s each on 2 cores; 2 MiB
Finding: None is best everywhere, and the tuned ones lie close together. Of 13 rates, 20 seeds chose and 20 others judged, by
         the loss on held-out samples. On `digits` Adam and AdamW end lowest (0.089, SGD 0.118; difference -0.029, 95 %
         interval -0.046 to -0.012), Nesterov next (0.100); plain momentum and RMSProp tie with SGD. On the article's network
         RMSProp is best (1.996, SGD 2.024; -0.028, -0.034 to -0.021) and all others lose to SGD, which wants a rate of
         31.6 there. On `least_squares` SGD is best of all, by 0.0015 and more. On `noisy_quadratic` Adam, AdamW and RMSProp
         beat it by 0.013. Lion loses on all four. Mean ranks over the problems: RMSProp 3.14, AdamW 3.22, Adam 3.44,
         Nesterov 3.70, SGD 3.71, momentum 4.62, Lion 6.17: four problems do not tell the first five apart. The table is
         docs/results/optimizer_benchmark.csv; another machine's means should come within 1 % of its
         (running the same in micro-steps of 7 samples, a change of rounding alone, moves them by up to 0.2 %).
"""

from jaxsgd import Study

STUDY = Study(
    problem="digits",
    held_out=0.2,
    seeds=range(40),
    batch_counts=[20],
    orders=["reshuffle"],
    optimizers=["sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop", "lion"],
    learning_rates=[10.0 ** (k / 2) for k in range(-8, 5)],
    epochs=10,
    record="epoch",
)
