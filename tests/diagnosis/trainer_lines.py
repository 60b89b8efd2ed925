"""Logs in the shapes of lines that trainers print: four epochs of 60 batches, printed every 10, so 24 training losses."""

from collections.abc import Callable
from typing import NamedTuple

EPOCHS, BATCHES, INTERVAL = 4, 60, 10


def loss(epoch: int, batch: int) -> float:
    """Return the loss that is printed at a batch (from 1) of an epoch (from 0): it falls by epochs, and no two are the same."""
    return round(3 - 0.5 * epoch + batch / 1000, 4)


class Print(NamedTuple):
    """The numbers of a print: epoch from 0, batch of the epoch and of the run from 1, loss."""

    e: int
    b: int
    g: int
    v: float


PRINTS = [Print(e, b, BATCHES * e + b, loss(e, b)) for e in range(EPOCHS) for b in range(INTERVAL, BATCHES + 1, INTERVAL)]


class Format(NamedTuple):
    """Lines of a trainer.

    Attributes:
      line: the text of a print.
      before: the text before each epoch, with its number from 0.
      after: the text after each epoch.
      column: the name of the loss that is to be read.
      batches, interval: m and w where the text tells them; None where it does not.
    """

    line: Callable[[Print], str]
    column: str
    before: Callable[[int], str] = lambda e: ""
    after: Callable[[int], str] = lambda e: ""
    batches: int | None = BATCHES
    interval: int | None = INTERVAL


def text(form: Format) -> str:
    """Return a whole log."""
    parts = []
    for e in range(EPOCHS):
        parts += [form.before(e), *(form.line(p) for p in PRINTS if p.e == e), form.after(e)]
    return "".join(parts)


FORMATS = {
    "llm.c": Format(
        lambda p: f"step {p.g:4d}/240 | loss {p.v:.6f} (+nanz)| norm 15.3000 (+nanz)| lr 3.00e-04 | 1300.59 ms | -100.0% fp32 MFU | 31504 tok/s\n",
        "loss", after=lambda e: f"val loss {4 - e}.25\n", batches=None,
    ),
    "llm.c main.log": Format(
        lambda p: f"s:{p.g} trl:{p.v:.4f} lr:0.000300 norm:1.00\n", "trl", after=lambda e: f"s:{60 * e + 60} tel:{4 - e}.2500\n", batches=None,
    ),
    "nanoGPT": Format(
        lambda p: f"iter {p.g}: loss {p.v:.4f}, time 75.63ms, mfu -100.00%\n", "loss",
        after=lambda e: f"step {60 * e + 60}: train loss {3 - e / 2:.4f}, val loss {4 - e / 2:.4f}\nsaving checkpoint to out\n", batches=None,
    ),
    "timm": Format(
        lambda p: f"Train: {p.e} [{p.b:4d}/60 ({100 * p.b // 60:3d}%)]  Loss: {p.v:#.4g} ({p.v:#.3g})  Time: 0.305s,  839.1/s  (0.412s,  621.4/s)  LR: 1.000e-06  Data: 0.010 (0.024)\n",
        "Loss", after=lambda e: "".join(f"Test: [{b:4d}/10]  Time: 0.301 (0.301)  Loss:  4.1250 (4.1250)  Acc@1:  9.3750 ( 9.3750)  Acc@5: 31.2500 (31.2500)\n" for b in (0, 10)),
    ),
    "Swin": Format(
        lambda p: f"[2021-03-01 12:00:00 swin_tiny] (main.py 222): INFO Train: [{p.e}/300][{p.b}/60]\teta 0:10:00 lr 0.000001\ttime 0.3051 (0.4122)\tloss {p.v:.4f} ({p.v:.4f})\tgrad_norm 1.9 (2.0)\tmem 9000MB\n",
        "loss", after=lambda e: "[2021-03-01 12:00:00 swin_tiny] (main.py 263): INFO Test: [0/10]\tTime 1.0 (1.0)\tLoss 4.1250 (4.1250)\tAcc@1 9.375 (9.375)\n",
    ),
    "MMEngine": Format(
        lambda p: f"2023/01/01 00:00:00 - mmengine - INFO - Epoch(train)  [{p.e + 1}][{p.b:2d}/60]  lr: 1.0e-03  eta: 1 day, 0:10:00  time: 0.3  data_time: 0.1  memory: 5000  loss_rpn_cls: 0.5  loss: {p.v:.4f}  loss_bbox: 0.5\n",
        "loss", after=lambda e: f"2023/01/01 00:00:00 - mmengine - INFO - Epoch(val) [{e + 1}][10/10]    coco/bbox_mAP: 0.3010  data_time: 0.1\n",
    ),
    "Detectron2": Format(
        lambda p: f"[04/20 10:00:00 d2.utils.events]:  eta: 1:00:00  iter: {p.g - 1}  total_loss: {p.v:#.4g}  loss_cls: 1.5  loss_box_reg: 0.5  time: 0.3  data_time: 0.01  lr: 1.6e-05  max_mem: 3000M\n",
        "total_loss", batches=None,
    ),
    "Detectron2 JSON": Format(
        lambda p: f'{{"data_time": 0.01, "eta_seconds": 10.5, "iteration": {p.g - 1}, "loss_box_reg": 0.5, "loss_cls": 1.5, "lr": 0.01, "total_loss": {p.v}}}\n',
        "total_loss", batches=None,
    ),
    "fairseq": Format(
        lambda p: f"2021-01-01 00:00:00 | INFO | train_inner | epoch {p.e + 1:03d}:     {p.b} / 60 loss={p.v}, nll_loss=7.9, ppl=240.5, wps=1000, ups=0.5, wpb=2000, bsz=64, num_updates={p.g}, lr=1e-05, gnorm=2.5, train_wall=20, wall=30\n",
        "loss", after=lambda e: f"2021-01-01 00:00:00 | INFO | valid | epoch {e + 1:03d} | valid on 'valid' subset | loss 4.125 | nll_loss 8.5 | ppl 200 | num_updates {60 * e + 60}\n2021-01-01 00:00:00 | INFO | train | epoch {e + 1:03d} | loss 3.125 | nll_loss 8.1 | ppl 300 | num_updates {60 * e + 60}\n",
    ),
    "fairseq JSON": Format(
        lambda p: f'2021-01-01 00:00:00 | INFO | train_inner | {{"epoch": {p.e + 1}, "update": {p.g / 60:.3f}, "loss": "{p.v}", "nll_loss": "7.9", "ppl": "240.5", "num_updates": "{p.g}", "lr": "1e-05"}}\n',
        "loss", after=lambda e: f'2021-01-01 00:00:00 | INFO | valid | {{"epoch": {e + 1}, "valid_loss": "4.125", "valid_nll_loss": "8.5", "valid_num_updates": "{60 * e + 60}"}}\n',
    ),
    "ESPnet": Format(
        lambda p: f"[gpu7] 2022-01-01 00:00:00,123 (trainer:737) INFO: {p.e + 1}epoch:train:{p.b - 9}-{p.b}batch: iter_time=1.0e-04, forward_time=0.1, loss_ctc=50.5, loss_att=40.5, acc=0.5, loss={p.v}, backward_time=0.1, optim0_lr0=1.0e-05\n",
        "loss", after=lambda e: f"[gpu7] 2022-01-01 00:00:00,123 (trainer:343) INFO: {e + 1}epoch results: [train] iter_time=1.0e-04, loss_ctc=50.5, loss=3.125, [valid] loss_ctc=60.5, loss=4.125\n",
    ),
    "WeNet": Format(
        lambda p: f"2021-01-01 00:00:00,123 DEBUG TRAIN Batch {p.e}/{p.b} loss {p.v:.6f} loss_att 12.100000 loss_ctc 13.500000 lr 0.00001000 rank 0\n",
        "loss", after=lambda e: "".join(f"2021-01-01 00:00:00,123 DEBUG CV Batch {e}/{b} loss 4.125000 loss_att 12.000000 loss_ctc 14.000000 history loss 4.500000 rank 0\n" for b in (0, 10)),
    ),
    "Lightning bar": Format(
        lambda p: f"Epoch {p.e}: {100 * p.b // 60:3d}%|{'#' * (p.b // 10)}{p.b % 7 or ''}| {p.b}/60 [00:10<01:30,  1.05it/s, loss={p.v}, v_num=1]\r",
        "loss", after=lambda e: "\n",
    ),
    "NeMo": Format(
        lambda p: f"Epoch {p.e}: :  {100 * p.b // 60}%|████      | {p.b}/60 [00:10<01:30, v_num=k3x1, reduced_train_loss={p.v}, global_step={p.g}.0, consumed_samples={64 * p.g}.0, train_step_timing in s=1.25]\n",
        "reduced_train_loss",
    ),
    "Kohya": Format(
        lambda p: f"steps: {100 * p.g // 240:3d}%|{'█' * (p.g // 24)}  | {p.g}/240 [05:23<06:39,  1.38it/s, avr_loss={p.v}]\r",
        "avr_loss", before=lambda e: f"\nepoch {e + 1}/4\n",
    ),
    "Coqui": Format(
        lambda p: f"\x1b[1m   --> TIME: 2022-01-01 00:00:00 -- STEP: {p.b}/60 -- GLOBAL_STEP: {p.g}\x1b[0m\n     | > loss: {p.v:.5f}  ({p.v:.5f})\n     | > grad_norm: 1.00000  (1.00000)\n     | > current_lr: 0.00025 \n",
        "loss", before=lambda e: f"\x1b[4m\x1b[1m > EPOCH: {e}/1000\x1b[0m\n --> out/run\n",
    ),
    "spaCy one part": Format(
        lambda p: f"{p.e:3d}  {p.g:6d}  {p.v:12.4f}   47.06   50.00    0.47\n", "LOSS NER",
        before=lambda e: "" if e else "E    #       LOSS NER      ENTS_F  ENTS_P  SCORE \n---  ------  ------------  ------  ------  ------\n",
    ),
    "Stable-Baselines3": Format(
        lambda p: f"{'-' * 33}\n| time/              |          |\n|    fps             | 900      |\n|    iterations      | {p.g}        |\n|    total_timesteps | {2048 * p.g}     |\n| train/             |          |\n|    clip_fraction   | 0.1      |\n|    learning_rate   | 0.0003   |\n|    loss            | {p.v}     |\n|    n_updates       | {10 * p.g}       |\n{'-' * 33}\n",
        "loss", batches=None, interval=None,
    ),
    "YOLOv5 console": Format(
        lambda p: f"     {p.e}/3     3.5G   0.1102   0.0551   0.0334   {p.v:.4f}    42   640: {100 * p.b // 60:3d}%|{'#' * (p.b // 10)}| {p.b}/60 [00:10<00:00,  1.0it/s]\r",
        "total", before=lambda e: "\n     Epoch   gpu_mem       box       obj       cls     total    labels  img_size\n",
        after=lambda e: "\n               Class     Images     Labels          P          R     mAP@.5\n                 all        128        929      0.593      0.443      0.500\n",
    ),
    "Ultralytics results.csv": Format(
        lambda p: f"{p.g // 10:23d}, {p.v:22}, {4.125:22}, {0.5:22}, {0.01:22}\n", "train/box_loss",
        before=lambda e: "" if e else "                  epoch,         train/box_loss,           val/box_loss,      metrics/precision,                 lr/pg0\n",
        batches=None, interval=None,
    ),
    "Darknet": Format(
        lambda p: f" {p.g}: {p.v + 1:.6f}, {p.v:.6f} avg loss, 0.001000 rate, 0.923000 seconds, {64 * p.g} images, 1.5 hours left\nLoaded: 0.000036 seconds\n",
        "avg loss", batches=None,
    ),
    "Caffe": Format(
        lambda p: f"I0101 00:00:00.123456 12345 solver.cpp:228] Iteration {p.g} (2.5 iter/s, 4.0s/10 iters), loss = {p.v}\nI0101 00:00:00.123456 12345 solver.cpp:244]     Train net output #0: loss = 9.5 (* 1 = 9.5 loss)\nI0101 00:00:00.123456 12345 sgd_solver.cpp:106] Iteration {p.g}, lr = 0.01\n",
        "loss", after=lambda e: f"I0101 00:00:00.123456 12345 solver.cpp:330] Iteration {60 * e + 60}, Testing net (#0)\nI0101 00:00:00.123456 12345 solver.cpp:397]     Test net output #0: accuracy = 0.5\nI0101 00:00:00.123456 12345 solver.cpp:397]     Test net output #1: loss = 4.125 (* 1 = 4.125 loss)\n", batches=None,
    ),
    "Caffe parsed": Format(
        lambda p: f"{p.g}.0,10.5,0.01,{p.v}\n", "loss", before=lambda e: "" if e else "NumIters,Seconds,LearningRate,loss\n", batches=None,
    ),
    "MXNet": Format(
        lambda p: f"INFO:root:Epoch[{p.e}] Batch [{p.b - 10}-{p.b}]\tSpeed: 1000.50 samples/sec\taccuracy=0.515625\tcross-entropy={p.v:.6f}\n",
        "cross-entropy", after=lambda e: f"INFO:root:Epoch[{e}] Train-cross-entropy=2.500000\nINFO:root:Epoch[{e}] Time cost=10.500\nINFO:root:Epoch[{e}] Validation-cross-entropy=4.125000\n",
    ),
    "GluonCV": Format(
        lambda p: f"[Epoch {p.e}][Batch {p.b - 1}], Speed: 100.512 samples/sec, CrossEntropy={p.v:.3f}, SmoothL1=1.250\n", "CrossEntropy",
    ),
    "OpenNMT": Format(
        lambda p: f"[2019-01-01 00:00:00,123 INFO] Step {p.g}/100000; acc:   3.50; ppl: {12000 - p.g}.52; xent: {p.v:.4f}; lr: 0.00001; {8000 + p.b}/{7000 - p.b} tok/s;     {p.g} sec\n",
        "xent", after=lambda e: "[2019-01-01 00:00:00,123 INFO] Validation perplexity: 50.5\n[2019-01-01 00:00:00,123 INFO] Validation accuracy: 30.5\n", batches=None,
    ),
    "Marian": Format(
        lambda p: f"[2021-07-17 12:54:33] Ep. {p.e + 1} : Up. {p.g} : Sen. {1000 + p.g:,} : Cost {p.v:.8f} * {1_334_103 + p.g:,} after {20_348_840 * p.g:,} : Time 359.59s : 3007.81 words/s : L.r. 5.3827e-05\n",
        "Cost", after=lambda e: f"[2021-07-17 12:54:33] [valid] Ep. {e + 1} : Up. {60 * e + 60} : cross-entropy : 130.97 : new best\n[2021-07-17 12:54:33] [valid] Ep. {e + 1} : Up. {60 * e + 60} : ce-mean-words : 1.56508 : stalled 2 times (last best: 1.56489)\n",
    ),
    "Megatron": Format(
        lambda p: f" iteration {p.g:8d}/  500000 | consumed samples: {256 * p.g:12d} | elapsed time per iteration (ms): 300.5 | learning rate: 1.000E-05 | global batch size:   256 | lm loss: {p.v:.6E} | loss scale: 65536.0 | grad norm: 1.500 | number of skipped iterations:   0 | number of nan iterations:   0 |\n",
        "lm loss", after=lambda e: f"{'-' * 40}\n validation loss at iteration {60 * e + 60} | lm loss value: 4.125000E+00 | lm loss PPL: 6.186000E+01 | \n", batches=None,
    ),
    "DeepSpeed": Format(
        lambda p: f"[2023-01-01 00:00:00,123] [INFO] [logging.py:96:log_dist] [Rank 0] step={p.g}, skipped=0, lr=[9.65e-06, 9.65e-06], mom=[(0.9, 0.95), (0.9, 0.95)]\nEpoch: {p.e}, Step: {p.b}, Rank: 0, loss = {p.v}\n",
        "loss",
    ),
    "torchtune": Format(
        lambda p: f"\r{p.e + 1}|{p.g}|Loss: {p.v}: {100 * p.b // 60:3d}%|{'█' * (p.b // 10)}  | {p.b}/60 [06:45<17:27, 13.96s/it]", "Loss",
    ),
    "torchtune file": Format(lambda p: f"Step {p.g} | loss:{p.v} lr:2e-05 tokens_per_second_per_gpu:405.044978758513 \n", "loss", batches=None),
    "MaxText": Format(
        lambda p: f"completed step: {p.g}, seconds: 1.023, TFLOP/s/device: 100.512, Tokens/s/device: 5000.25, total_weights: 65536, loss: {p.v:.3f}\n",
        "loss", batches=None,
    ),
    "axolotl": Format(
        lambda p: f"{{'loss': {p.v}, 'grad_norm': 1.25, 'learning_rate': 1e-05, 'epoch': {p.g / 60:.2f}}}\n", "loss",
        after=lambda e: f"{{'eval_loss': 4.125, 'eval_runtime': 10.5, 'eval_samples_per_second': 3.5, 'epoch': {e + 1}.0}}\n", batches=None, interval=None,
    ),
    "LLaMA-Factory": Format(
        lambda p: f'{{"current_steps": {p.g}, "total_steps": 240, "loss": {p.v}, "lr": 1e-05, "epoch": {p.g / 60}, "percentage": {p.g / 2.4:.2f}, "elapsed_time": "0:00:10"}}\n',
        "loss",
    ),
    "DINO": Format(
        lambda p: f"Epoch: [{p.e}/100]  [{p.b - 10:4d}/60]  eta: 0:10:00  loss: {p.v:.6f} ({p.v:.6f})  lr: 0.000100 (0.000050)  wd: 0.040000 (0.040000)  time: 0.510  data: 0.001  max mem: 9000\n",
        "loss", after=lambda e: f"Epoch: [{e}/100] Total time: 0:10:00 (0.5 s / it)\nAveraged stats: loss: 3.125000 (3.125000)  lr: 0.000100 (0.000050)\n",
    ),
    "OLMo": Format(
        lambda p: f"2024-08-06 09:59:26.181 node-1607:0\tolmo.train:908\tINFO\t[step={p.g}/739328,epoch={p.e}]\n    optim/total_grad_norm=1.5\n    train/CrossEntropyLoss={p.v}\n    train/Perplexity=195,153\n    throughput/total_tokens={1_048_576 * p.g:,}\n",
        "train/CrossEntropyLoss",
    ),
    "Keras bar": Format(
        lambda p: f"{p.b:2d}/60 [{'=' * (p.b // 10)}>....] - ETA: 1s - loss: {p.v:.4f} - accuracy: 0.5000" + "\b" * 40,
        "loss", before=lambda e: f"Epoch {e + 1}/4\n",
        after=lambda e: f"60/60 [==============================] - 5s 8ms/step - loss: {loss(e, 60):.4f} - accuracy: 0.5000 - val_loss: 4.1250 - val_accuracy: 0.4000\n",
    ),
    "Keras table of epochs": Format(
        lambda p: f"Epoch {p.g // 10}/24\n60/60 - 3s - loss: {p.v:.4f} - accuracy: 0.5000 - val_loss: 4.1250\n", "loss", batches=None, interval=None,
    ),
    "Keras guide": Format(
        lambda p: f"Training loss (for 1 batch) at step {p.b}: {p.v:.4f}\nSeen so far: {64 * p.b} samples\n", "Training loss",
        before=lambda e: f"\nStart of epoch {e}\n",
    ),
    "TensorFlow tutorial": Format(lambda p: f"Loss at step {p.g:03d}: {p.v:.3f}\n", "Loss", batches=None),
    "Cost after iteration": Format(lambda p: f"Cost after iteration {p.g}: {p.v:.6f}\n", "Cost", batches=None),
    "fast.ai": Format(
        lambda p: f"{p.g // 10 - 1}         {p.v:.6f}    4.125000    0.512000  00:10     \n", "train_loss",
        before=lambda e: "" if e else "epoch     train_loss  valid_loss  accuracy  time    \n", batches=None, interval=None,
    ),
    "PaddleRec": Format(
        lambda p: f"2022-04-12 17:10:51,909 - INFO - epoch: {p.e}, batch_id: {p.b - 10}, AUC:0.788134, ACC:0.688159, loss:{p.v}, avg_reader_cost: 0.00012 sec, avg_batch_cost: 0.56199 sec, avg_samples: 1024.00000, ips: 1822.08655 ins/s\n",
        "loss", after=lambda e: f"2022-04-12 17:24:35,400 - INFO - epoch: {e} done, AUC: 0.874769,ACC: 0.822143,loss:3.125, epoch time: 1105.58 s\n",
    ),
    "PaddlePaddle course": Format(
        lambda p: f"epoch: {p.e}, batch: {p.b - 10}, loss is: [{p.v}]\n", "loss", after=lambda e: f"[validation] accuracy/loss: 0.{e}425/4.125\n",
    ),
    "SSD": Format(
        lambda p: f"timer: 0.3520 sec.\niter {p.g} || Loss: {p.v:.4f} || /usr/code/ssd.pytorch/utils/augmentations.py:238: UserWarning: ragged\n  mode = random.choice(self.options)\n",
        "Loss", batches=None,
    ),
    "BigDL": Format(
        lambda p: f"2017-08-20 16:11:38 INFO  DistriOptimizer$:295 - [Epoch {p.e + 1} {32 * p.b}/1920][Iteration {p.g}][Wall Clock 19.83477254s] Train 32 in 4.387814632seconds. Throughput is 408.40378 records/second. Loss is {p.v}. Current learning rate is 0.046. Current momentum is 0.9.\n",
        "Loss", batches=None, interval=None,
    ),
    "loss before its epoch": Format(lambda p: f"loss {p.v:.6f} [Epoch {p.e + 1} Batch {p.b}]\n", "loss"),
    "words": Format(lambda p: f"In epoch {p.e} after {p.b} batches, the loss is {p.v}.\n", "loss"),
}  # fmt: skip
