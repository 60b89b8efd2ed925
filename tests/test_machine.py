"""The machine as `jaxsgd info` shows it is the one that a sweep runs on."""

import platform
import subprocess

from jaxsgd import machine
from jaxsgd.engine.execution import workers


def test_as_many_threads_are_shown_as_run_chunks():
    assert machine.threads() == len(workers())


def test_a_processor_is_named_with_its_model_and_its_widest_vectors():
    amd = """processor	: 0
vendor_id	: AuthenticAMD
cpu family	: 25
model		: 1
model name	: AMD EPYC
flags		: fpu sse2 avx avx2

processor	: 1
model name	: another
flags		: avx512f
"""
    assert machine.processor_of(amd) == "AMD EPYC, family 25 model 1, AVX2 without AVX-512"
    assert machine.processor_of(amd.replace("avx avx2", "avx avx2 avx512f")) == "AMD EPYC, family 25 model 1, AVX-512"
    # An ARM machine has neither name nor family.
    arm = "processor\t: 0\nFeatures\t: fp asimd\n"
    assert machine.processor_of(arm) == f"{platform.machine()}, NEON"
    assert machine.processor()


def test_the_commit_of_the_current_folder_says_whether_a_file_differs_from_it(tmp_path, monkeypatch):
    def git(*words):
        settings = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        return subprocess.run(["git", *settings, *words], check=True, capture_output=True, text=True).stdout.strip()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert machine.git_commit() is None
    git("init")
    (tmp_path / "study.py").write_text("one")
    git("add", "study.py")
    git("commit", "-m", "first")
    commit = git("rev-parse", "HEAD")
    assert machine.git_commit() == commit
    (tmp_path / "study.py").write_text("another")
    assert machine.git_commit() == f"{commit}-dirty"
