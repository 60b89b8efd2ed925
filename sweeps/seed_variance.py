"""How much of the scatter of a tuned run comes from its data, its initial weights, and the order of its samples?

Command: jaxsgd run seed_variance
         and in Python jaxsgd.seed_variance(jaxsgd.load("results/seed_variance"), "validation_loss").deviation
Cost:    1,024 runs of 10 epochs, about 6 s on 2 cores; 0.1 MiB
Finding: Nearly all of it comes from the data. After 10 epochs the loss on held-out samples has a standard deviation of 0.214
         when data, weights and order are all drawn anew; with the data alone 0.214, with the initial weights alone 0.007,
         with the order alone 0.003 for SGD and 0.007 for Adam. So two settings should be compared on the same data: a
         difference of 0.01 is lost among seeds that differ in all, and plain in pairs.
"""

from jaxsgd import Study

STUDY = Study(
    problem="square_regression",
    problem_args={"num_samples": 1000, "num_hidden": 50},
    held_out=0.2,
    data_seeds=range(8),
    init_seeds=range(8),
    order_seeds=range(8),
    batch_counts=[20],
    orders=["reshuffle"],
    optimizers=["sgd", "adam"],
    learning_rates=[10.0, 0.1],
    zipped=[["optimizer", "learning_rate"]],
    epochs=10,
    record="epoch",
)
