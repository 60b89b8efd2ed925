"""Which rule for the batch size makes the curves of Adam collapse onto one?

Command: jaxsgd run optimizer_batch_rules
         jaxsgd plot curves results/optimizer_batch_rules --axis batch_size --select learning_rate=0.004
         jaxsgd compare results/optimizer_batch_rules --axis batch_size --reference 32
Cost:    560 runs of 12 epochs, about 70 s of CPU time; less than 1 MiB
Finding: None of the published rules; a power between them does. The factor between the curves of B = 4 to 256
         (`jaxsgd.analysis.collapse` of the validation loss, 1 if they lie on one another) is 7.67 (95 % interval 6.93 to 8.72)
         at the rate 0.004 with Adam unchanged, 1.97 (1.89 to 2.11) with a linear rate, 2.02 (1.92 to 2.08) with the square-root
         rule of Malladi et al. 2022, 1.98 (1.91 to 2.13) with a square-root rate and the half-life of `b2` in samples (Marek et
         al. 2025), and 1.24 (1.20 to 1.27) with the power 3/4 of the batch size, which was chosen after the others had been
         seen. At the rate 0.001 they are 9.09, 2.56, 2.16, 2.41 and 1.26.
         Up to the reference, 32 samples, the square-root rule holds (1.17; linear 1.73), and past it the linear one (1.14;
         square root 1.73).
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
        "power 0.75": {"learning_rate": "power(0.75)"},
    },
    reference_batch_size=32,
    epochs=12,
    record="epoch",
)
