"""The causes: what each is called, what to do about it, and where others have met it."""

from typing import NamedTuple


class Cause(NamedTuple):
    """Why a log has a pattern with the period of an epoch.

    Attributes:
      name: in reports.
      title: in words.
      looks: what it makes a log look like.
      remedy: what to do about it.
      threads: addresses where others asked about it.
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
        "the same levels come back at the same places of every epoch",
        "Shuffle the samples anew every epoch (PyTorch: DataLoader(shuffle=True); a DistributedSampler needs set_epoch), or "
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
        "the interval does not divide the epoch, so that a pattern of the epoch comes back only after several",
        "Print every m batches, or every w that divides m, and restart the count with each epoch.",
        ("https://github.com/elixir-nx/axon/issues/531",),
    ),
    Cause(
        "running_mean",
        "running mean reset each epoch",
        "each print averages all of its epoch so far: it settles within the epoch and jumps where the next begins",
        "Compare the last print of each epoch with nothing but other last prints; for the course within an epoch, log the "
        "loss of single batches or of a window.",
        (
            "https://github.com/keras-team/tf-keras/issues/234",
            "https://github.com/ultralytics/yolov3/issues/303",
            "https://github.com/facebookresearch/fairseq/issues/1102",
        ),
    ),
    Cause(
        "ragged_batch",
        "ragged last batch",
        "the last print of each epoch stands off, or scatters more: its batch is smaller, or divided by the wrong number",
        "Weigh each batch by its samples, divide a sum by the samples in it, or leave the last batch out (drop_last=True).",
        ("https://stackoverflow.com/questions/47824598",),
    ),
    Cause(
        "re_exposure",
        "re-exposure to the samples",
        "the loss drops where an epoch begins and rises or stays within it, although the order is new: the model remembers "
        "samples it saw a short while ago",
        "It is no defect of the log. Watch a loss on held-out samples; a smaller rate, more regularization, a larger beta2 of "
        "Adam or fewer epochs make it smaller.",
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
        "the loss steps where the learning rate steps or restarts, and it does so at boundaries of epochs",
        "Plot the learning rate beside the loss; move a step off the boundary, and the loss steps there.",
        ("https://github.com/BVLC/caffe/issues/1445", "https://github.com/apache/mxnet/issues/8188"),
    ),
)
"""All causes, in the order in which they are told."""

CAUSE_NAMES = tuple(cause.name for cause in CAUSES)
"""Their names, in the same order."""
