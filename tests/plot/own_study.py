"""Does a study with a figure of its own draw that figure?"""

from jaxsgd import Study
from jaxsgd.plot.layout import panels
from jaxsgd.plot.style import slide

STUDY = Study(problem="least_squares", seeds=[0], batch_counts=[2], learning_rates=[0.1], epochs=3)


def figure(ds):
    """Draw the mean loss of each epoch over all runs."""
    drawn = slide(f"{ds.loss_epoch.size:,} losses", "their mean over all runs")
    axes = panels(drawn)[0, 0]
    axes.plot(ds.epoch, ds.loss_epoch.mean([dim for dim in ds.loss_epoch.dims if dim != "epoch"]))
    axes.set(xlabel="epoch", ylabel="loss")
    return drawn
