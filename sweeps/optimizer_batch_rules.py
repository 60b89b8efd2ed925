"""Which rule for the batch size makes the curves of Adam collapse onto one?

Command: jaxsgd run optimizer_batch_rules
Cost:    -
Finding: -
"""

from jaxsgd import Study

STUDY = Study(
    problem="digits",
    held_out=0.2,
    seeds=range(8),
    batch_sizes=[4, 8, 16, 32, 64, 128, 256],
    orders=["reshuffle"],
    optimizer="adam",
    learning_rates=[0.001, 0.004],
    batch_rules={
        "constant": {},
        "linear": {"learning_rate": "linear"},
        "square root": {"learning_rate": "sqrt", "b1": "complement", "b2": "complement", "eps": "inverse_sqrt"},
        "half-life": {"learning_rate": "sqrt", "b2": "half_life"},
    },
    reference_batch_size=32,
    epochs=12,
    record="epoch",
)
