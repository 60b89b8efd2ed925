"""A training log on the terminal, and the end of a run that diverged."""

from rich.console import Console

from jaxsgd.error import CommandFailure


def print_log(console: Console, windows, experiment, name: str):
    """Read the windows of a run, print its log meanwhile and return the `jaxsgd.article.Logged`.

    Raises:
      CommandFailure: if the run became non-finite.
    """
    from jaxsgd.article.live_log import follow

    console.rule(f"{name}: training log")
    logged = follow(windows, experiment, lambda line: console.out(line, highlight=False))
    stop_if_diverged(logged.loss, experiment, name)
    return logged


def stop_if_diverged(loss, experiment, name: str) -> None:
    """End the command if a loss [E, m] is not finite.

    Raises:
      CommandFailure: with the epoch, counted from 1, and the learning rate.
    """
    import math

    from jaxsgd.measure.divergence import diverged_epoch

    epoch = float(diverged_epoch(loss))
    if not math.isnan(epoch):
        rate = experiment.learning_rate
        raise CommandFailure(
            f"{name} became non-finite in epoch {int(epoch) + 1} at learning rate {rate:g}; "
            f"try a smaller rate, such as --learning-rate {rate / 10:.1g}"
        )
