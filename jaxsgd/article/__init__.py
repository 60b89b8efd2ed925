"""The article end to end: its experiments, its printed log, and what a run shows when held against them."""

from jaxsgd.article.comparison import Quantities, Spread, percentile_place, quantities, sampling_gap, spread
from jaxsgd.article.experiment import AVERAGED, BAND, STRIPED, Experiment, article_experiments, check_rate, check_seed
from jaxsgd.article.finding import article_findings, run_findings
from jaxsgd.article.live_log import Logged, follow
from jaxsgd.article.log_line import LogLine, format_line, parse_log, printed_losses, printed_text, window_line
from jaxsgd.article.picture import averaged_view, band_view, picture_files, striped_view
from jaxsgd.article.report import Outcome, SeedOutcome, outcome_report, places, run_outcome, seed_outcome, stripes_report
from jaxsgd.article.training import SEEDS, Recorded, Training, run_seeds, run_whole, train_by_window

__all__ = [
    "AVERAGED",
    "BAND",
    "SEEDS",
    "STRIPED",
    "Experiment",
    "LogLine",
    "Logged",
    "Outcome",
    "Quantities",
    "Recorded",
    "SeedOutcome",
    "Spread",
    "Training",
    "article_experiments",
    "article_findings",
    "averaged_view",
    "band_view",
    "check_rate",
    "check_seed",
    "follow",
    "format_line",
    "outcome_report",
    "parse_log",
    "percentile_place",
    "picture_files",
    "places",
    "printed_losses",
    "printed_text",
    "quantities",
    "run_findings",
    "run_outcome",
    "run_seeds",
    "run_whole",
    "sampling_gap",
    "seed_outcome",
    "spread",
    "striped_view",
    "stripes_report",
    "train_by_window",
    "window_line",
]
