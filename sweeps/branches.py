"""From which epoch on does the order of the samples no longer decide where a run ends?

Command: jaxsgd run branches
Cost:    200 runs of up to 20 epochs
Finding: none yet
"""

from jaxsgd import Study

EPOCHS = 20
FORKS = (0, 1, 2, 4, 8, 16)

SETTINGS = {
    "problem": "digits",
    "held_out": 0.2,
    "init_seeds": range(8),
    "batch_counts": [16],
    "orders": ["reshuffle"],
    "optimizer": "sgd",
    "learning_rates": [1.0],
    "record": "epoch",
}

STUDIES = {"parent": Study(**SETTINGS, order_seeds=[0], epochs=EPOCHS, keep=FORKS)} | {
    f"from_{epoch}": Study(
        **SETTINGS, order_seeds=range(1, 5), epochs=EPOCHS - epoch, keep="final", start="parent", start_epoch=epoch
    )
    for epoch in FORKS
}
