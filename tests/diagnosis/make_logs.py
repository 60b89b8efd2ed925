"""Writes the logs in `logs/`: small trainings by the frameworks themselves, each log by the framework's own logger.

    python -m venv frameworks
    frameworks/bin/pip install torch lightning transformers accelerate keras mlflow-skinny tensorboard
    frameworks/bin/python tests/diagnosis/make_logs.py

Nothing here is needed to read them. What each log must be told to have stands in `test_diagnose.py`.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import torch
from torch import nn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset
from torch.utils.data.distributed import DistributedSampler

FOLDER = Path(__file__).parent / "logs"


def samples(count, inputs, noise, seed=0):
    """Targets that a linear teacher gives, with noise."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(count, inputs, generator=draw)
    teacher = torch.randn(inputs, 1, generator=draw) / inputs**0.5
    return TensorDataset(x, x @ teacher + noise * torch.randn(count, 1, generator=draw))


def network(inputs, hidden=0):
    torch.manual_seed(1)
    if not hidden:
        return nn.Linear(inputs, 1)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, 1))


def train(loader, model, optimizer, epochs, say, reduction="mean", usual=None, before_epoch=None, after_epoch=None):
    """The usual loop: `say(epoch, batch, step, loss)` after every update."""
    criterion = nn.MSELoss(reduction=reduction)
    step = 0
    for epoch in range(epochs):
        if before_epoch:
            before_epoch(epoch)
        for batch, (x, t) in enumerate(loader):
            optimizer.zero_grad()
            loss = criterion(model(x), t)
            if usual:
                loss = loss / usual
            loss.backward()
            optimizer.step()
            say(epoch, batch, step, float(loss.detach()))
            step += 1
        if after_epoch:
            after_epoch()


def windows(file, every, batches):
    """`say` that prints the mean loss of every so many batches, counted through the run."""
    held = []

    def say(epoch, batch, step, loss):
        held.append(loss)
        if len(held) == every:
            file.write(f"Epoch {epoch + 1} | batch {batch + 1}/{batches} | train loss {sum(held) / every:.5f}\n")
            held.clear()

    return say


def torch_text(name, dataset, loader, every, epochs=30, hidden=0, adam=False, rate=0.02, schedule=None, **how):
    model = network(dataset.tensors[0].shape[1], hidden)
    kind = torch.optim.Adam if adam else torch.optim.SGD
    optimizer = kind(model.parameters(), rate)
    if schedule:
        how["after_epoch"] = schedule(optimizer).step
    torch.manual_seed(2)
    with (FOLDER / name).open("w") as file:
        train(loader, model, optimizer, epochs, windows(file, every, len(loader)), **how)


def torch_logs():
    plain, small = samples(800, 10, 1.0), samples(200, 100, 1.0)
    torch_text("torch_shuffle_false.txt", plain, DataLoader(plain, 40, shuffle=False), 5)
    torch_text("torch_shuffle_false_every_7.txt", plain, DataLoader(plain, 40, shuffle=False), 7, epochs=42)
    torch_text("torch_shuffle_true.txt", plain, DataLoader(plain, 40, shuffle=True), 5, rate=0.005)
    sampler = RandomSampler(plain, replacement=True, num_samples=800)
    torch_text("torch_replacement.txt", plain, DataLoader(plain, 40, sampler=sampler), 4)
    torch_text("torch_adam_memorizes.txt", small, DataLoader(small, 10, shuffle=True), 1, 40, hidden=0, adam=True, rate=0.03)
    distributed = DistributedSampler(plain, num_replicas=1, rank=0, shuffle=True)
    torch_text("torch_distributed_no_set_epoch.txt", plain, DataLoader(plain, 40, sampler=distributed), 4)
    torch_text(
        "torch_distributed_set_epoch.txt", plain, DataLoader(plain, 40, sampler=distributed), 4, rate=0.005,
        before_epoch=distributed.set_epoch,
    )  # fmt: skip
    ragged = samples(805, 10, 1.0)
    torch_text("torch_ragged_sum.txt", ragged, DataLoader(ragged, 50, shuffle=True), 1, rate=0.01, reduction="sum", usual=50)
    torch_step_rate()


def torch_silent_schedules():
    """So large a rate that it says where the loss ends, in logs that do not say the rate."""
    schedulers, dataset = torch.optim.lr_scheduler, samples(400, 60, 0.5, seed=3)
    # Samples are drawn with replacement, so that no epoch has another mark.
    loader = DataLoader(dataset, 20, sampler=RandomSampler(dataset, replacement=True, num_samples=400))
    for name, schedule in (
        ("torch_step_lr_silent.txt", lambda optimizer: schedulers.StepLR(optimizer, 25, 0.1)),
        ("torch_warm_restarts_silent.txt", lambda optimizer: schedulers.CosineAnnealingWarmRestarts(optimizer, 6)),
    ):
        torch_text(name, dataset, loader, 4, 60, adam=True, rate=0.1, schedule=schedule)


def torch_step_rate():
    """Momentum, whose noise floor falls with the rate; the log says the rate."""
    dataset = samples(400, 60, 0.5, seed=3)
    loader = DataLoader(dataset, 20, sampler=RandomSampler(dataset, replacement=True, num_samples=400))
    model = network(60)
    optimizer = torch.optim.SGD(model.parameters(), 0.06, momentum=0.5)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 15, 0.1)
    torch.manual_seed(2)
    with (FOLDER / "torch_step_lr.jsonl").open("w") as file:

        def say(epoch, batch, step, loss):
            if step % 4 == 3:
                rate = optimizer.param_groups[0]["lr"]
                file.write(
                    f'{{"epoch": {epoch + (batch + 1) / 20:.2f}, "step": {step + 1}, "loss": {loss:.5f}, "lr": {rate:.6f}}}\n'
                )

        train(loader, model, optimizer, 45, say, after_epoch=schedule.step)


def tensorboard_log():
    from torch.utils.tensorboard import SummaryWriter

    dataset = samples(800, 10, 1.0, seed=4)
    with tempfile.TemporaryDirectory() as folder:
        writer = SummaryWriter(folder)
        model = network(10)
        optimizer = torch.optim.SGD(model.parameters(), 0.02)

        def say(epoch, batch, step, loss):
            if step % 4 == 3:
                writer.add_scalar("train/loss", loss, step + 1)
                writer.add_scalar("epoch", epoch, step + 1)

        train(DataLoader(dataset, 40, shuffle=False), model, optimizer, 20, say)
        writer.close()
        (written,) = Path(folder).iterdir()
        shutil.copy(written, FOLDER / "tensorboard_shuffle_false.events")


def mlflow_log():
    import mlflow

    dataset = samples(800, 10, 1.0, seed=5)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
        mlflow.set_tracking_uri(f"file:{folder}")
        mlflow.set_experiment("stripes")
        model = network(10)
        optimizer = torch.optim.SGD(model.parameters(), 0.02)
        with mlflow.start_run():

            def say(epoch, batch, step, loss):
                mlflow.log_metric("loss", loss, step=step)

            train(DataLoader(dataset, 40, shuffle=False), model, optimizer, 12, say)
        (written,) = Path(folder).glob("*/*/metrics/loss")
        shutil.copy(written, FOLDER / "mlflow_shuffle_false")


def lightning_logs():
    import lightning
    from lightning.pytorch.loggers import CSVLogger

    class Module(lightning.LightningModule):
        def __init__(self, rate):
            super().__init__()
            self.model, self.rate = network(10), rate

        def training_step(self, batch, index):
            x, t = batch
            loss = nn.functional.mse_loss(self.model(x), t)
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), self.rate)

    dataset = samples(800, 10, 1.0, seed=6)
    for name, shuffle, rate in (("lightning_shuffle_false.csv", False, 0.02), ("lightning_shuffle_true.csv", True, 0.005)):
        with tempfile.TemporaryDirectory() as folder:
            torch.manual_seed(3)
            logger = CSVLogger(folder)
            trainer = lightning.Trainer(
                max_epochs=25, logger=logger, log_every_n_steps=4, enable_checkpointing=False, enable_progress_bar=False,
                enable_model_summary=False, accelerator="cpu",
            )  # fmt: skip
            trainer.fit(Module(rate), DataLoader(dataset, 40, shuffle=shuffle))
            shutil.copy(Path(logger.log_dir) / "metrics.csv", FOLDER / name)


def hugging_face_logs():
    import transformers

    class Regression(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = network(10)

        def forward(self, x, labels):
            guess = self.model(x)
            return {"loss": nn.functional.mse_loss(guess, labels), "logits": guess}

    class InOrder(transformers.Trainer):
        def _get_train_sampler(self, *args, **kwargs):
            return torch.utils.data.SequentialSampler(self.train_dataset)

    x, t = samples(800, 10, 1.0, seed=7).tensors
    rows = [{"x": x[i], "labels": t[i]} for i in range(len(x))]
    for name, kind, rate in (
        ("huggingface_in_order.json", InOrder, 0.02),
        ("huggingface_shuffled.json", transformers.Trainer, 0.005),
    ):
        with tempfile.TemporaryDirectory() as folder:
            arguments = transformers.TrainingArguments(
                folder, num_train_epochs=20, per_device_train_batch_size=40, logging_steps=5, learning_rate=rate, optim="sgd",
                lr_scheduler_type="constant", save_strategy="no", report_to=[], disable_tqdm=True, use_cpu=True,
                max_grad_norm=0,
            )  # fmt: skip
            trainer = kind(Regression(), arguments, train_dataset=rows)
            trainer.train()
            trainer.state.save_to_json(str(FOLDER / name))


def keras_logs():
    import keras

    x, t = (each.numpy() for each in samples(800, 10, 1.0, seed=8).tensors)

    def model(rate):
        keras.utils.set_random_seed(4)
        made = keras.Sequential([keras.Input((10,)), keras.layers.Dense(1)])
        made.compile(keras.optimizers.SGD(rate), "mse")
        return made

    # The progress bar as it stands in a redirected output.
    shown = sys.stdout
    with (FOLDER / "keras_progress.txt").open("w") as file:
        sys.stdout = file
        try:
            model(0.01).fit(x, t, batch_size=40, epochs=20, verbose=1)
        finally:
            sys.stdout = shown

    class Batches(keras.callbacks.Callback):
        def __init__(self, path):
            super().__init__()
            self.path, self.epoch = path, 0

        def on_train_begin(self, logs=None):
            self.file = self.path.open("w")

        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_train_batch_end(self, batch, logs=None):
            self.file.write(f'{{"epoch": {self.epoch}, "batch": {batch}, "loss": {float(logs["loss"]):.5f}}}\n')

        def on_train_end(self, logs=None):
            self.file.close()

    path = FOLDER / "keras_batches_in_order.jsonl"
    model(0.01).fit(x, t, batch_size=40, epochs=20, verbose=0, shuffle=False, callbacks=[Batches(path)])


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    makers = [torch_logs, torch_silent_schedules, tensorboard_log, mlflow_log, lightning_logs, hugging_face_logs, keras_logs]
    for maker in makers:
        if len(sys.argv) == 1 or maker.__name__ in sys.argv[1:]:
            maker()
            sys.stderr.write(f"{maker.__name__}\n")
