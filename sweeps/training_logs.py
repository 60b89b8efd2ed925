"""Which habits of training and logging leave which pattern in a log?

Command: python -m jaxsgd.diagnosis.lesson --out results/training_logs
         which runs this study on several problems, schedules and ragged splits, and learns from what they print
Cost:    TODO
Finding: TODO
"""

from jaxsgd import Study

STUDY = Study(
    problem="digits",
    problem_args={"num_samples": 400},
    seeds=range(8),
    batch_counts=[4, 12, 20, 30],
    orders=["fixed", "reshuffle", "replacement"],
    optimizers=["sgd", "adam"],
    learning_rates=[0.3, 0.01],
    zipped=[["optimizer", "learning_rate"]],
    epochs=60,
)
