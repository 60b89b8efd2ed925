"""The causes: what each is called, what to do about it, where others have met it, and the evidence for it in a log."""

from collections.abc import Mapping
from typing import NamedTuple

from jaxsgd.diagnosis import features
from jaxsgd.diagnosis.features import Numbers
from jaxsgd.diagnosis.period import Period


class Cause(NamedTuple):
    """A reason for a pattern with the period of an epoch.

    Attributes:
      name: as reports and options name it.
      title: the same in words.
      looks: the pattern that it leaves in a log, in words.
      remedy: what to do about it.
      threads: web addresses where others asked about it.
    """

    name: str
    title: str
    looks: str
    remedy: str
    threads: tuple[str, ...]


CAUSES = (
    Cause(
        "fixed_order",
        "fixed order",
        "the same levels return at the same positions of every epoch",
        "Shuffle the samples anew in every epoch (PyTorch: DataLoader(shuffle=True); a DistributedSampler needs set_epoch), or "
        "read the loss averaged over whole epochs.",
        (
            "https://github.com/BVLC/caffe/issues/1249",
            "https://github.com/pytorch/pytorch/issues/31771",
            "https://github.com/apache/mxnet/issues/6802",
            "https://github.com/ultralytics/yolov3/issues/303",
        ),
    ),
    Cause(
        "aliasing",
        "print interval against epoch",
        "the interval does not divide the epoch, so a pattern within the epoch returns only after several epochs",
        "With m batches an epoch, print every w batches where w divides m, and restart the count with each epoch.",
        ("https://github.com/elixir-nx/axon/issues/531",),
    ),
    Cause(
        "running_mean",
        "running mean reset each epoch",
        "each value is the mean over its epoch so far: it settles within the epoch and jumps where the next epoch begins",
        "Compare only the last values of epochs with each other. To see the course within an epoch, log the loss of single "
        "batches or of a window of batches.",
        (
            "https://github.com/keras-team/tf-keras/issues/234",
            "https://github.com/ultralytics/yolov3/issues/303",
            "https://github.com/facebookresearch/fairseq/issues/1102",
        ),
    ),
    Cause(
        "ragged_batch",
        "ragged last batch",
        "the last value of each epoch lies far from the others or scatters more, because its batch is smaller or its sum is "
        "divided by the wrong number",
        "Weight each batch by its number of samples, divide a summed loss by the number of samples in its own batch, or leave "
        "the last batch out (drop_last=True).",
        ("https://stackoverflow.com/questions/47824598",),
    ),
    Cause(
        "re_exposure",
        "re-exposure to the samples",
        "the loss drops where an epoch begins and rises or stays level within it, although the order is new: the model "
        "remembers samples that it saw recently",
        "This is not a fault of the log. Watch the loss on held-out samples. A smaller learning rate, more regularization, a "
        "larger beta2 of Adam or fewer epochs make the drop smaller.",
        (
            "https://arxiv.org/abs/2410.10056",
            "https://github.com/huggingface/transformers/issues/18730",
            "https://github.com/mlfoundations/open_clip/issues/101",
            "https://github.com/mlfoundations/open_clip/issues/822",
        ),
    ),
    Cause(
        "schedule",
        "learning-rate steps at epochs",
        "the loss steps where the learning rate steps or restarts, and that is where epochs begin",
        "Plot the learning rate beside the loss. If the rate steps at another time than the start of an epoch, the loss steps "
        "at that time.",
        ("https://github.com/BVLC/caffe/issues/1445", "https://github.com/apache/mxnet/issues/8188"),
    ),
)
"""All causes, in the order of the model's answers."""

CAUSE_NAMES = tuple(cause.name for cause in CAUSES)
"""The names of all causes, in the same order."""


class Evidence(NamedTuple):
    """A feature that speaks for or against a cause.

    Attributes:
      measure: the feature's name.
      text: its numbers in a sentence that a person can check.
      log_odds: the part of the cause's log odds that comes from it.
    """

    measure: str
    text: str
    log_odds: float


def cause_evidence(
    cause: str, numbers: Numbers, period: Period, contributions: Mapping[str, float], most: int = 3
) -> tuple[Evidence, ...]:
    """Return the features that decided a cause's probability, the weightiest first.

    Args:
      cause: its name; evidence for aliasing always includes the print interval and the epoch.
      numbers: the measured numbers of the log.
      period: of the log.
      contributions: log odds by reading.
      most: how many at most.
    """
    feature_of = {reading: feature for feature in features.FEATURES for reading in feature.readings}
    by_name = {feature.name: feature for feature in features.FEATURES}
    odds: dict[str, float] = {}
    for reading, value in contributions.items():
        name = feature_of[reading].name
        odds[name] = odds.get(name, 0.0) + value
    if cause == "aliasing":
        odds["slides"] = max(odds.values(), default=0.0) + odds.get("slides", 0.0)
    ranked = sorted(odds, key=lambda name: -abs(odds[name]))
    weighty = [name for name in ranked if abs(odds[name]) > 0.1][:most] or ranked[:1]
    return tuple(Evidence(name, by_name[name].sentence(numbers, period), odds[name]) for name in weighty)
