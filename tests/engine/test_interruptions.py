"""Any sequence of runs, kills, damage and other studies: no cell is lost, doubled or changed."""

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

import jaxsgd
from jaxsgd import InputError
from tests.replay import CHUNKS, HELD, STUDY, files, replaying, spoiled


class Killed(BaseException):
    """Stands in for SIGKILL: from then on the process reaches nothing of the disk."""


def killing(at, within):
    def change(count, name, real, args):
        if count < at:
            return real(*args)
        if count == at and within and name == "write":
            real(args[0], args[1][: len(args[1]) // 2])
        raise Killed

    return change


class Interruptions(RuleBasedStateMachine):
    """A result folder that things happen to."""

    whole: Path
    values: dict

    @initialize(finished=st.booleans())
    def begin(self, finished):
        self.base = Path(tempfile.mkdtemp(prefix="jaxsgd-interruptions-"))
        self.folder = self.base / "result"
        if finished:
            shutil.copytree(self.whole, self.folder)

    def teardown(self):
        shutil.rmtree(self.base)

    @rule()
    def run(self):
        ds = jaxsgd.sweep(STUDY, self.folder)
        assert same(ds, self.values)
        assert same(jaxsgd.load(self.folder), self.values)

    @rule(seeds=st.sampled_from([range(2), range(4), range(2, 6), (5, 0)]))
    def shrink_or_grow(self, seeds):
        """With fewer seeds of the whole study; the next run grows again. Some chunks are made of other cells then."""
        ds = jaxsgd.sweep(STUDY.replaced(seeds=seeds), self.folder, **HELD)
        assert not ds.missing.any()
        assert same(ds, {name: array[list(seeds)] for name, array in self.values.items()})

    @rule(at=st.integers(1, 24), within=st.booleans())
    def kill(self, at, within):
        # What a killed process could not tidy up stays: the store's own tidying is stopped with it.
        with spoiled(killing(at, within)), pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "unlink", lambda *args, **how: None)
            with suppress(Killed):
                jaxsgd.sweep(STUDY, self.folder)

    @rule(number=st.integers(0, CHUNKS - 1), place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
    def flip_a_bit(self, number, place, bit):
        self.change(number, lambda content: flipped(content, int(place * len(content)), bit))

    @rule(number=st.integers(0, CHUNKS - 1), place=st.floats(0, 1, exclude_max=True))
    def cut_short(self, number, place):
        self.change(number, lambda content: content[: int(place * len(content))])

    @rule(number=st.integers(0, CHUNKS - 1), other=st.integers(0, CHUNKS - 1))
    def exchange(self, number, other):
        foreign = (self.whole / "chunks" / f"{other:06d}.npz").read_bytes()
        self.change(number, lambda content: foreign)

    @rule(number=st.integers(0, CHUNKS - 1))
    def lose(self, number):
        (self.folder / "chunks" / f"{number:06d}.npz").unlink(missing_ok=True)

    @rule()
    def leave_a_foreign_file(self):
        if self.folder.exists():
            (self.folder / "chunks" / ".000001.npz.1.tmp").write_bytes(b"half a chu")

    @rule()
    def come_with_another_study(self):
        if (self.folder / "manifest.json").exists():
            before = {name: content for name, content in files(self.folder).items() if not name.startswith(".")}
            with pytest.raises(InputError, match="has the result of another study"):
                jaxsgd.sweep(STUDY.replaced(epochs=3), self.folder)
            assert files(self.folder) == before

    def change(self, number, how):
        path = self.folder / "chunks" / f"{number:06d}.npz"
        if path.exists():
            path.write_bytes(how(path.read_bytes()))

    @invariant()
    def each_cell_is_missing_or_what_it_was(self):
        if not hasattr(self, "folder") or not (self.folder / "manifest.json").exists():
            return
        ds = jaxsgd.load(self.folder)
        values = {name: array[ds.seed.values] for name, array in self.values.items()}
        assert same(ds, values, where=~ds.missing.values)
        for name in ("loss", "loss_epoch"):
            assert np.isnan(ds[name].values[ds.missing.values]).all()


def flipped(content, place, bit):
    changed = bytearray(content)
    if changed:
        changed[place] ^= 1 << bit
    return bytes(changed)


def same(ds, values, where=None):
    """Return True if the cells' numbers have the same bits: those at some places, or all of them."""
    if where is None:
        where = np.ones(ds.missing.shape, bool)
        assert not ds.missing.any()
    return all(ds[name].values[where].tobytes() == array[where].tobytes() for name, array in values.items())


@pytest.mark.skipif(os.name != "posix", reason="a file that is open cannot be taken away elsewhere")
def test_no_sequence_of_runs_kills_and_damage_loses_doubles_or_changes_a_cell(tmp_path, monkeypatch):
    whole = tmp_path / "whole"
    ds = jaxsgd.sweep(STUDY, whole, **HELD)
    for module, name, value in replaying(whole):
        monkeypatch.setattr(module, name, value)
    names = [name for name in ds.data_vars if name != "missing" and ds[name].shape[: ds.missing.ndim] == ds.missing.shape]
    machine = type("Bound", (Interruptions,), {"whole": whole, "values": {name: ds[name].values for name in names}})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=16,
            stateful_step_count=15,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        ),
    )
