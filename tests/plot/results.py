"""Small real results to draw, run once for all workers of a test run."""

import shutil
import time

import jaxsgd

NETWORK = {"num_hidden": 20, "num_samples": 200}

STUDIES = {
    # Six batch counts in four orders: 72 runs of 12 epochs, every batch's loss kept.
    "striped": {
        "problem": "square_regression", "problem_args": NETWORK, "seeds": range(3), "batch_counts": [1, 2, 5, 10, 20, 50],
        "orders": ["fixed", "shuffle_once", "reshuffle", "reshuffle_batches"], "learning_rates": [1e-3], "epochs": 12,
        "eval_interval": 5,
    },
    # Least squares by rates up to one that blows up.
    "diverging": {
        "problem": "least_squares", "problem_args": {"num_samples": 200}, "seeds": range(4), "batch_counts": [2, 10, 20],
        "orders": ["fixed", "reshuffle"], "learning_rates": [1e-3, 1e-2, 1e-1, 3.0], "epochs": 8,
    },
    # Seeds of data and initial weights apart, sizes of batches, a rate zipped with a momentum; epoch means alone.
    "apart": {
        "problem": "square_regression", "problem_args": NETWORK, "data_seeds": [0, 1], "init_seeds": [0, 1, 2],
        "batch_sizes": [20, 60], "optimizer": "momentum", "learning_rates": [0.01, 0.1], "hyper": {"momentum": [0.5, 0.9]},
        "zipped": [["learning_rate", "momentum"]], "orders": ["reshuffle"], "epochs": 4, "record": "epoch",
    },
}  # fmt: skip


def stored(name, tmp_path_factory, worker_id):
    """The folder of one of the results; the first worker that asks runs it, the others wait."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    folder, done = shared / f"plot_{name}", shared / f"plot_{name}.done"
    try:
        (shared / f"plot_{name}.begun").touch(exist_ok=False)
    except FileExistsError:
        give_up = time.monotonic() + 300
        while not done.exists() and time.monotonic() < give_up:
            time.sleep(0.1)
        return folder
    try:
        jaxsgd.sweep(jaxsgd.Study(**STUDIES[name]), folder)
    finally:
        done.touch()
    return folder


def unfinished_copy(folder, target):
    """A copy of a result, one chunk of which has been lost."""
    shutil.copytree(folder, target)
    min((target / "chunks").glob("*.npz")).unlink()
    return target
