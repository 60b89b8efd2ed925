"""The README against the repository: its code runs, its commands and its tree are there."""

import re

import jax
import pytest

from tests.document import blocks, links


@pytest.fixture(scope="module")
def readme(pytestconfig):
    return (pytestconfig.rootpath / "README.md").read_text()


def test_the_python_code_runs_in_one_session(readme, capsys):
    names = {}
    with jax.numpy_rank_promotion("allow"):  # as users have it
        for block in blocks(readme, "python"):
            exec(compile(block.content, "README.md", "exec"), names)
    # The article's setting: 10 batches printed every 5, in a fixed order.
    assert names["stripes"].stripe_count == 2
    assert names["stripes"].stripe_index > 0.99
    assert names["ds"].loss.sizes["batch"] == 20
    assert capsys.readouterr().out.startswith("2 ")


def test_every_command_is_one_that_jaxsgd_has(readme):
    from jaxsgd.cli.commands import app

    known = {command.callback.__name__ for command in app.registered_commands} | {group.name for group in app.registered_groups}
    used = set(re.findall(r"jaxsgd (\w+)(?= |$)", "\n".join(block.content for block in blocks(readme, "sh")), re.M))
    assert {"article", "run", "plot", "verify", "export", "studies"} <= used
    assert used <= known


def test_every_path_of_the_tree_is_there(readme, pytestconfig):
    (tree,) = (block.content for block in blocks(readme, "") if block.content.startswith("jaxsgd/"))
    for line in tree.splitlines():
        folder = "jaxsgd/" if line.startswith("  ") else ""
        for name in re.findall(r"[a-z_]+(?:/|\.py)(?=\s)", line + " "):
            place = "tests/" if name == "reference.py" else "" if name == folder else folder
            assert (pytestconfig.rootpath / (place + name)).exists(), name


def test_links_and_pictures_lead_somewhere(readme, pytestconfig):
    for target in links(readme):
        assert target.startswith("https://") or (pytestconfig.rootpath / target).exists(), target


def test_ci_runs_the_test_command_of_the_readme(readme, pytestconfig):
    commands = [line for block in blocks(readme, "sh") for line in block.content.splitlines() if "'.[test]'" in line]
    assert len(commands) == 1
    assert commands[0].endswith(".venv/bin/pytest")
    assert """command=$(grep -F "'.[test]'" README.md)""" in (pytestconfig.rootpath / ".ci/run").read_text()
