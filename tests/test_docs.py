"""The README is true: its commands run in CI, its tables are printed from the code."""

import ast
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import pytest

from provisioner import errors
from provisioner.errors import ProvisionerError
from provisioner.line.steps import picture
from provisioner.reconcile.classes import Class
from provisioner.reconcile.discipline import words_of
from provisioner.simulator.faults import PROFILES
from provisioner.simulator.injected import can_strike, words_for

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def tree(cls):
    yield cls
    for child in cls.__subclasses__():
        yield from tree(child)


def steps_block():
    return "\n".join(["```mermaid", *picture(), "```"])


def remedies(*roots):
    """One row for each failure a person can meet; base classes that are never raised by themselves are left out."""
    rows = ["| on the screen | what happened | whose fault | what to do |", "|---|---|---|---|"]
    for cls in (cls for root in roots for cls in tree(root)):
        if not cls.__subclasses__() or cls.__name__ in RAISED_BASES:
            meaning = " ".join((cls.__doc__ or "").split())
            rows.append(f"| `{cls.code}` | {meaning} | {cls.blame} | {cls.remedy} |")
    return "\n".join(rows)


RAISED_BASES = {"CommandRefused", "CloudRefused", "ImportRefused", "InputRefused", "OrderRefused"}


def map_block():
    lines = ["```"]
    package = ROOT / "provisioner"
    for folder in [package, *sorted(init.parent for init in package.glob("*/**/__init__.py"))]:
        lines.append(f"{folder.relative_to(ROOT)}/")
        for file in sorted(folder.glob("*.py")):
            if file.name in ("__init__.py", "__main__.py"):
                continue
            first = re.match(r'"""(.*?)(?:\n|""")', file.read_text())
            lines.append(f"  {file.stem:<18} {first.group(1) if first else ''}".rstrip())
    return "\n".join([*lines, "```"])


def assumptions_block():
    """The docstrings of the contract tests, numbered as the tests are."""
    tree_ = ast.parse((ROOT / "tests/contracts/test_cloud_assumptions.py").read_text())
    tests = [node for node in tree_.body if isinstance(node, ast.AsyncFunctionDef) and node.name.startswith("test_")]
    assert [test.name for test in tests] == [f"test_{number:02d}" for number in range(1, len(tests) + 1)]
    lines = [" ".join(ast.get_docstring(test).split()) for test in tests]
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))


def classes_block():
    """One row for each class of the night."""
    rows = ["| class | | what it means | why | what to do |", "|---|---|---|---|---|"]
    for kind in Class:
        meaning = kind.meaning
        cells = (words_of(kind), meaning.standing, meaning.sentence, meaning.cause, meaning.action)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def invariants_block():
    """The invariants of the fault table, read from its source."""
    tree_ = ast.parse((ROOT / "tests/faults/fault_table.py").read_text())
    (value,) = (
        node.value
        for node in tree_.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "INVARIANTS"
    )
    return "\n".join(f"- **{number}** {words}" for number, words in ast.literal_eval(value).items())


def nasty_block():
    """What a nasty demo of one seed prints, without the night after it."""
    words = [sys.executable, "-m", "provisioner", "demo", "--virtual", "--faults", "nasty", "--seed", "5"]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "160"}
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    run, _, rest = done.stdout.partition(" of the simulated factory.\n")
    injected, end, _ = rest[rest.index("INJECTED") :].partition("no secret in any file.\n")
    return f"```\n{run} of the simulated factory.\n\n{injected}{end}```"


BLOCKS = {
    "nasty": nasty_block,
    "invariants": invariants_block,
    "classes": classes_block,
    "assumptions": assumptions_block,
    "steps": steps_block,
    "remedies": lambda: remedies(
        errors.DeviceError, errors.SwitchError, errors.SoftAPError, errors.OrderRefused, errors.HeldByOperator
    ),
    "site": lambda: remedies(errors.CloudError, errors.InputRefused, errors.JournalError),
    "map": map_block,
}


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_generated_part_of_the_readme_is_what_the_code_says(name):
    """Mend with: python tests/test_docs.py"""
    found = re.search(rf"<!-- generated: {name} -->\n(.*?)<!-- end -->", README, re.DOTALL)

    assert found is not None
    assert BLOCKS[name]() == found.group(1).strip()


def test_every_command_is_in_the_readme_and_shows_an_example():
    from provisioner.cli import commands

    def walk(group, path):
        for name, command in group.commands.items():
            if isinstance(command, click.Group):
                yield from walk(command, f"{path} {name}")
            else:
                yield f"{path} {name}", command

    for name, command in walk(commands, "provisioner"):
        assert f"`{name}" in README, f"{name} is not in the README"
        assert f"Example: {name}" in (command.help or ""), f"{name} --help shows no example"


def test_every_error_says_what_to_do():
    codes = [cls.code for cls in tree(ProvisionerError)]

    assert len(codes) == len(set(codes))
    for cls in tree(ProvisionerError):
        assert cls.remedy.endswith("."), cls
        assert cls.__doc__, cls


def test_ci_runs_the_commands_the_readme_gives():
    script = (ROOT / ".ci/run").read_text()

    assert all(f"from_readme {name}" in script for name in ("demo", "tests"))
    assert all(f"<!-- command: {name} -->" in README for name in ("demo", "tests"))


def test_the_nasty_factory_of_the_readme_has_every_fault_that_there_is():
    shown = README.partition("<!-- generated: nasty -->")[2].partition("## ")[0]

    assert "no false PASS, no write to a stranger" in shown
    for name in can_strike():
        assert (words_for(name) in shown) is bool(getattr(PROFILES["nasty"], name)), name


def test_only_what_belongs_there_stands_at_the_top():
    allowed = {"pyproject.toml", "README.md", "provisioner", "config", "tests", "fixtures", "runs"}

    assert {path.name for path in ROOT.iterdir() if not path.name.startswith(".")} <= allowed


if __name__ == "__main__":
    text = README
    for block, make in BLOCKS.items():
        start = text.index(f"<!-- generated: {block} -->\n") + len(f"<!-- generated: {block} -->\n")
        text = f"{text[:start]}{make()}\n{text[text.index('<!-- end -->', start) :]}"
    (ROOT / "README.md").write_text(text)
