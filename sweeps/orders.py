"""Which of the six orders ends nearest the optimum, and which has stripes, on the same data?

Command: jaxsgd run orders && jaxsgd plot all results/orders && jaxsgd plot differences results/orders --metric distance
Cost:    384 runs of 60 epochs, about 10 s on 2 cores; 2 MiB
Finding: `flip_flop` ends nearest the optimum of its data: 0.0123 away at m = 20 (mean of 32 seeds), nearer than
         `fixed` (0.0578) by 0.0455, 95 % interval 0.0417 to 0.0493. `reshuffle` (0.0265) and `reshuffle_batches`
         (0.0243) are nearer than `fixed` by 0.031 (0.027 to 0.035) and 0.034 (0.029 to 0.038), and tie with each
         other; `shuffle_once` ties with `fixed` (+0.001, from -0.004 to 0.006); `replacement` (0.2326) is farther by
         0.175 (0.151 to 0.199). At m = 10 all are nearer, and in the same places.
         So it is new places in every epoch, not new batch members, that bring a run nearer; and the same makes
         stripes: median stripe index 0.97 for `fixed` and `shuffle_once` at m = 20, 0.00 within 0.01 for `reshuffle`,
         `reshuffle_batches` and `replacement`. `flip_flop` has 0.22 with 4 stripes at m = 20; with 2 at m = 10 its two
         directions swap the stripes, and it has -0.01.
         The epoch loss hides all this: near the optimum it exceeds its least value, 12.5, by half the squared distance,
         0.0017 for `fixed`. All orders tie with `fixed` there but `reshuffle_batches`, lower by 0.0017 (0.0013 to
         0.0020) at m = 20. These numbers are `jaxsgd.compare(ds, "order", "distance")` and its like.
         The article's network (--set problem=square_regression --set 'problem_args={"num_hidden": 100}' --set
         learning_rates=0.01 --set epochs=40) has the same stripes, index 0.9997 for `fixed` at m = 20 and 0.30 for
         `flip_flop`, and after 40 epochs the same loss, to 2e-5 for all but `replacement`, which ties (+0.025, from
         -0.003 to 0.052).
"""

from jaxsgd import Study

STUDY = Study(
    problem="least_squares",
    problem_args={"num_samples": 1000, "num_inputs": 10, "noise": 5.0},
    seeds=range(32),
    batch_counts=[10, 20],
    orders=["fixed", "shuffle_once", "reshuffle", "reshuffle_batches", "flip_flop", "replacement"],
    optimizer="sgd",
    learning_rates=[0.02],
    epochs=60,
    eval_interval=5,
)
