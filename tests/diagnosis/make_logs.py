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
from torch.utils.data import DataLoader, IterableDataset, RandomSampler, TensorDataset
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


def train(loader, model, optimizer, epochs, log_step, reduction="mean", usual=None, before_epoch=None, after_epoch=None):
    """The usual loop: `log_step(epoch, batch, step, loss)` after every update."""
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
            log_step(epoch, batch, step, float(loss.detach()))
            step += 1
        if after_epoch:
            after_epoch()


def windows(file, every, batches):
    """Return a `log_step` that prints the mean loss of every so many batches, counted through the run."""
    losses = []

    def log_step(epoch, batch, step, loss):
        losses.append(loss)
        if len(losses) == every:
            file.write(f"Epoch {epoch + 1} | batch {batch + 1}/{batches} | train loss {sum(losses) / every:.5f}\n")
            losses.clear()

    return log_step


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

        def log_step(epoch, batch, step, loss):
            if step % 4 == 3:
                rate = optimizer.param_groups[0]["lr"]
                file.write(
                    f'{{"epoch": {epoch + (batch + 1) / 20:.2f}, "step": {step + 1}, "loss": {loss:.5f}, "lr": {rate:.6f}}}\n'
                )

        train(loader, model, optimizer, 45, log_step, after_epoch=schedule.step)


def classes(count, inputs=20, noise=2.0, seed=6):
    """Samples of ten classes, each around a point of its own, in random order."""
    draw = torch.Generator().manual_seed(seed)
    points = torch.randn(10, inputs, generator=draw)
    target = torch.randint(10, (count,), generator=draw)
    return points[target] + noise * torch.randn(count, inputs, generator=draw), target


class ShuffleBuffer(IterableDataset):
    """Samples in their order through a shuffle buffer, as WebDataset, tf.data and streaming datasets have it."""

    def __init__(self, x, t, size):
        self.samples, self.size = list(zip(x, t, strict=True)), size

    def __iter__(self):
        waiting = []
        for sample in self.samples:
            waiting.append(sample)
            if len(waiting) == self.size:
                yield waiting.pop(int(torch.randint(self.size, ())))
        while waiting:
            yield waiting.pop(int(torch.randint(len(waiting), ())))


def classify(loader, model, optimizer, epochs, after_batch, after_epoch=None):
    """Train a classifier; `after_batch(epoch, batch, loss, output)` sees every batch's loss."""
    criterion = nn.CrossEntropyLoss()
    for epoch in range(1, epochs + 1):
        for batch, (x, t) in enumerate(loader):
            optimizer.zero_grad()
            output = model(x)
            loss = criterion(output, t)
            loss.backward()
            optimizer.step()
            after_batch(epoch, batch, float(loss.detach()), output.detach())
        if after_epoch:
            after_epoch(epoch)


def classifier(inputs=20, hidden=0, classes=10):
    torch.manual_seed(7)
    if not hidden:
        return nn.Linear(inputs, classes)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, classes))


def torch_memorizing_logs():
    """A network with more weights than samples learns each of them by heart: fine-tuning for a few epochs."""
    for name, epochs, line in (
        ("torch_staircase.txt", 6, "step {step}/{total} | epoch {share:.2f} | loss {loss:.4f}\n"),
        ("torch_three_epochs.txt", 3, "{{'loss': {loss:.4f}, 'learning_rate': 0.002, 'epoch': {share:.2f}}}\n"),
    ):
        draw = torch.Generator().manual_seed(8)
        # Labels that nothing in the input tells: each can only be learnt by heart.
        x, t = torch.randn(1600, 400, generator=draw), torch.randint(2, (1600,), generator=draw)
        model = classifier(400, 256, 2)
        with (FOLDER / name).open("w") as file:
            losses = []

            def after_batch(epoch, batch, loss, _, losses=losses, file=file, line=line, epochs=epochs):
                losses.append(loss)
                if len(losses) % 2 == 0:
                    step, mean = len(losses), sum(losses[-2:]) / 2
                    file.write(line.format(step=step, total=20 * epochs, share=step / 20, loss=mean))

            torch.manual_seed(2)
            loader = DataLoader(TensorDataset(x, t), 80, shuffle=True)
            classify(loader, model, torch.optim.Adam(model.parameters(), 0.002), epochs, after_batch)


def torch_buffer_log():
    """Samples sorted by class behind a buffer of a twentieth of them."""
    x, t = classes(800)
    order = torch.argsort(t, stable=True)
    model = classifier()
    torch.manual_seed(2)
    with (FOLDER / "torch_shuffle_buffer.txt").open("w") as file:
        loader = DataLoader(ShuffleBuffer(x[order], t[order], 40), 40)
        classify(
            loader, model, torch.optim.SGD(model.parameters(), 0.01), 15,
            lambda epoch, batch, loss, _: file.write(f"[{epoch:3d}, {batch + 1:5d}] loss: {loss:.3f}\n"),
        )  # fmt: skip


def torch_metric_logs():
    """Metrics that are means since the start of the run, as one that is never reset, and since the start of the epoch."""
    x, t = classes(800)
    for name, resets, line in (
        ("torch_metric_never_reset.txt", False, "[Epoch {epoch}][Batch {batch}], Speed: 812.4, CrossEntropy={mean:.3f}\n"),
        ("torch_rounded_running_mean.txt", True, "Epoch {epoch}/20 {batch}/20 - loss: {mean:.3f}\n"),
    ):  # fmt: skip
        model, losses = classifier(), []
        torch.manual_seed(2)
        with (FOLDER / name).open("w") as file:

            def after_batch(epoch, batch, loss, _, losses=losses, file=file, line=line, resets=resets):
                if resets and batch == 0:
                    losses.clear()
                losses.append(loss)
                if batch % 2 == 1:
                    file.write(line.format(epoch=epoch, batch=batch + 1, mean=sum(losses) / len(losses)))

            loader = DataLoader(TensorDataset(x, t), 40, shuffle=True)
            classify(loader, model, torch.optim.SGD(model.parameters(), 0.02), 20, after_batch)


def torch_mnist_logs():
    """The lines of PyTorch's MNIST example, which does not shuffle its training set without CUDA."""
    x, t = classes(4400)
    train_set, (test_x, test_t) = TensorDataset(x[:4000], t[:4000]), (x[4000:], t[4000:])
    for name, shuffle in (("torch_mnist_in_order.txt", False), ("torch_mnist_shuffled.txt", True)):
        model = classifier()
        torch.manual_seed(2)
        with (FOLDER / name).open("w") as file:

            def after_batch(epoch, batch, loss, _, file=file):
                if batch % 10 == 0:
                    file.write(f"Train Epoch: {epoch} [{batch * 40}/4000 ({batch:.0f}%)]\tLoss: {loss:.6f}\n")

            def after_epoch(_, file=file, model=model):
                with torch.no_grad():
                    output = model(test_x)
                    loss, right = nn.functional.cross_entropy(output, test_t), int((output.argmax(1) == test_t).sum())
                file.write(f"\nTest set: Average loss: {loss:.4f}, Accuracy: {right}/400 ({right / 4:.0f}%)\n\n")

            loader = DataLoader(train_set, 40, shuffle=shuffle)
            classify(loader, model, torch.optim.SGD(model.parameters(), 0.01), 14, after_batch, after_epoch)


def torch_line_logs():
    """Two losses in a line, and test lines between the training lines; samples in their order, and shuffled."""
    x, t = classes(800)
    held_out = classes(1000)
    test_x, test_t = held_out[0][800:], held_out[1][800:]
    model = classifier()
    with (FOLDER / "torch_two_losses.txt").open("w") as file:

        def two_losses(epoch, batch, loss, output):
            penalty = 0.01 * float((output**2).mean())
            if batch % 4 == 3:
                file.write(
                    f"Epoch: [{epoch}][{batch + 1}/20] total_loss: {loss + penalty:.4f} ce_loss: {loss:.4f} "
                    f"penalty_loss: {penalty:.5f} lr: 0.01\n"
                )

        torch.manual_seed(2)
        classify(DataLoader(TensorDataset(x, t), 40), model, torch.optim.SGD(model.parameters(), 0.01), 20, two_losses)
    model = classifier()
    with (FOLDER / "torch_test_lines_between.txt").open("w") as file:

        def with_tests(epoch, batch, loss, _):
            if batch % 4 == 3:
                file.write(f"epoch {epoch} iter {batch + 1}/20 loss {loss:.4f}\n")
            if batch % 10 == 9:
                with torch.no_grad():
                    test = float(nn.functional.cross_entropy(model(test_x), test_t))
                file.write(f"epoch {epoch} iter {batch + 1}/20 test loss {test:.4f}\n")

        torch.manual_seed(2)
        loader = DataLoader(TensorDataset(x, t), 40, shuffle=True)
        classify(loader, model, torch.optim.SGD(model.parameters(), 0.01), 20, with_tests)


def tensorboard_log():
    from torch.utils.tensorboard import SummaryWriter

    dataset = samples(800, 10, 1.0, seed=4)
    with tempfile.TemporaryDirectory() as folder:
        writer = SummaryWriter(folder)
        model = network(10)
        optimizer = torch.optim.SGD(model.parameters(), 0.02)

        def log_step(epoch, batch, step, loss):
            if step % 4 == 3:
                writer.add_scalar("train/loss", loss, step + 1)
                writer.add_scalar("epoch", epoch, step + 1)

        train(DataLoader(dataset, 40, shuffle=False), model, optimizer, 20, log_step)
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

            def log_step(epoch, batch, step, loss):
                mlflow.log_metric("loss", loss, step=step)

            train(DataLoader(dataset, 40, shuffle=False), model, optimizer, 12, log_step)
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

    x, t = (tensor.numpy() for tensor in samples(800, 10, 1.0, seed=8).tensors)

    def model(rate):
        keras.utils.set_random_seed(4)
        regression = keras.Sequential([keras.Input((10,)), keras.layers.Dense(1)])
        regression.compile(keras.optimizers.SGD(rate), "mse")
        return regression

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
    makers = [
        torch_logs, torch_silent_schedules, torch_memorizing_logs, torch_buffer_log, torch_metric_logs, torch_mnist_logs,
        torch_line_logs, tensorboard_log, mlflow_log, lightning_logs, hugging_face_logs, keras_logs,
    ]  # fmt: skip
    for maker in makers:
        if len(sys.argv) == 1 or maker.__name__ in sys.argv[1:]:
            maker()
            sys.stderr.write(f"{maker.__name__}\n")
