"""How large must a shuffle buffer be, if the data are sorted by class?

Command: jaxsgd run shuffle_buffer
"""

from jaxsgd import Study

STUDY = Study(
    problem="digits",
    problem_args={"arrange": "label"},
    held_out=0.2,
    seeds=range(12),
    batch_counts=[40],
    orders=[
        "fixed",
        *(f"buffer({size})" for size in (14, 36, 72, 144, 288, 431, 719, 1078, 1438)),
        *(f"blocks({size})" for size in (9, 36, 144, 360)),
        *(f"block_buffer(36, {count})" for count in (2, 4, 10, 20)),
        "reshuffle",
    ],
    optimizer="sgd",
    learning_rates=[0.1, 0.3],
    epochs=30,
    eval_interval=4,
)
