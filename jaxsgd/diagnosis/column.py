"""The names of a log's numbers: the role of a name, and the names by which a loss is called."""

import functools
import re

_EPOCH = re.compile(r"^e$|(^|[^a-z])(epochs?|ep|epoch_?(num|idx|number|index|i|id)|current_?epoch|cur_?epoch)$")
_STEP = re.compile(
    r"(^|[^a-z])(steps?|iter|iters|iterations?|num_?iters?|it|itr|batch|batches|batch_?(idx|index|i|id|num)|mini-?batch(es)?|"
    r"updates?|up|num_?updates|n_?updates|total_timesteps|timesteps?|(global|current|cur|train|training|opt|optim)_?steps?|nb_?iters?|"
    r"step_?(num|idx|index))$"
)
_STEP_ALONE = {"s", "i", "#", "n_iter", "it.", "k"}
_TOTAL = {
    "total_steps", "max_steps", "total_iters", "max_iters", "total_iterations", "max_iterations", "num_steps", "total steps",
}  # fmt: skip
_SAMPLES = {"consumed samples", "consumed_samples", "samples", "num_samples", "sen", "images", "examples", "samples seen"}
_NO_COUNT = re.compile(
    r"(^|[^a-z])(per|time|times|size|number of|num of|skipped|nan|sec|secs|seconds|speed|loss|acc|accuracy|eta|rate)([^a-z]|$)"
)
_SETTING = re.compile(
    r"(^|[^a-z])(num|max|min|total|n|nb|warmup|save|log|logging|eval|decay|accumulation|every|training)[ _-]?"
    r"(epochs|steps|batches)$"
)
_RATE = {
    "lr", "learning_rate", "learning rate", "train/learning_rate", "train/lr", "rate", "learningrate", "lr/pg0", "l.r",
    "train_lr", "optim/learning_rate_group0",
}  # fmt: skip
_RUN = {"run", "run_id", "run_name", "experiment_id", "trial", "trial_id"}
_SPLIT = {"mode", "split", "phase", "stage"}
_RANK = re.compile(r"(^|[^a-z])rank$|^(gpu|default|process_index)$")

_UNIT = re.compile(r"(?<=\S)\s*[(\[][^()\[\]]*[)\]]$")
"""The unit behind a name, as in `Epochs (/10)`."""

_HELD_OUT = re.compile(
    r"(^|[^a-z])(val|valid|validat(ion|ing|e)|eval|evaluat(ion|ing|e)|test|testing|dev|cv|held-?out)"
    r"([^a-z]|$)|^(val|eval|test|valid|validation)_?(loss|cost|nll|error)|^tel$|^hist(ory)? loss",
    re.IGNORECASE,
)
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_TRAINING = re.compile(r"(^|[^a-z])(train|training|trn)([^a-z]|$)", re.IGNORECASE)

_NO_LOSS = re.compile(
    r"loss[ _./-]?(scal|weight|coef|ratio|factor|fn|func|type|lr|ppl|perplexity|time|count|change|improve|decrease|reduction|"
    r"diff|delta|std|var)"
    r"|(best|lowest|min|minimum|previous|prev|last best|target)[ _./-]?(\w+[ _./-])?loss|ppl|perplexity|lossless|glossary"
)
_KNOWN_LOSS = re.compile(
    r"trl|kld?|-?elbo|n?ll|avg|total|train|training|ce-mean(-words)?|ce-sum|err[dg](_\w+)?|"
    r"((train|training|total|avg|average|mean)[ _./-]?)?"
    r"(cost|nll|nelbo|xent|x-?entropy|cross[ _-]?entropy|objective|obj|criterion|err|error|r?mse|mae|ce|bce)|"
    r"(d|g|cycle|idt|dis|gen|disc|discriminator|generator)_(a|b|real|fake|gan|l1|l2|vgg|feat)"
)
_METRIC = re.compile(
    r"(^|[^a-z])(acc|accuracy|recall|precision|map|iou|f1|auc|time|lr|rate|eta|mem|memory|norm|top|psnr|ssim|bleu|wer|cer|fps)"
    r"([^a-z]|$)"
)

REMEMBERED = 4096
"""Number of names of which it is remembered what they are."""

COLUMN = "column"
"""First word of the name of a column that has none, in a table without a header."""


def is_unnamed(name: str) -> bool:
    """Return True for the name that a column without one has in its place."""
    return name.startswith(f"{COLUMN} ")


LONGEST_NAME = 64
"""Largest number of letters of a name."""


@functools.lru_cache(REMEMBERED)
def role(name: str) -> str:
    """Return the content of a column by its name.

    It is "epoch", "step", "samples" (a count of samples), "total" (the number of steps of the whole run), "rate", "run",
    "split", "rank" (of the process that prints), "loss", or "" for anything else. The extremes that W&B exports beside each
    curve, `...__MIN` and `...__MAX`, are anything else.
    """
    plain = name.strip().lower()
    if plain.endswith(("__min", "__max")):
        return ""
    for names, meant in (
        (_RATE, "rate"),
        (_RUN, "run"),
        (_SPLIT, "split"),
        (_TOTAL, "total"),
        (_SAMPLES, "samples"),
    ):
        if plain in names:
            return meant
    if not _NO_COUNT.search(plain) and not (_SETTING.search(plain) and "current" not in plain):
        word = _UNIT.sub("", plain).lstrip("#_ ") or plain
        if _EPOCH.search(word):
            return "epoch"
        if plain in _STEP_ALONE or _STEP.search(word):
            return "step"
    if _RANK.search(plain):
        return "rank"
    return "loss" if "loss" in plain and not _NO_LOSS.search(plain) else ""


@functools.lru_cache(REMEMBERED)
def is_known_loss(name: str) -> bool:
    """Return True for a name that trainers give a loss without the word, such as `xent`, `Cost` or `D_A`."""
    plain = name.strip().lower()
    last = plain.rpartition("/")[2]
    return bool(_KNOWN_LOSS.fullmatch(plain) or _KNOWN_LOSS.fullmatch(last)) and not _NO_LOSS.search(plain)


@functools.lru_cache(REMEMBERED)
def is_held_out(words: str) -> bool:
    """Return True if words speak of a validation or test set."""
    return bool(_HELD_OUT.search(_HUMP.sub(" ", words)))


@functools.lru_cache(REMEMBERED)
def is_training(words: str) -> bool:
    """Return True if words speak of training."""
    return bool(_TRAINING.search(_HUMP.sub(" ", words)))


@functools.lru_cache(REMEMBERED)
def is_metric(name: str) -> bool:
    """Return True for the usual name of a number that is neither a loss nor a count, such as `recall` or `lr`."""
    return bool(_METRIC.search(name.lower()))
