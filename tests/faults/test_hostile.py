"""Hostile bytes into every parser and every output: only the documented errors come out, and nothing that harms."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import hostile_parsers
import hostile_sinks
from hostile import attack

FEW = 25


@pytest.mark.parametrize("target", hostile_sinks.TARGETS, ids=lambda target: target.what)
def test_f27_no_output_shows_a_hostile_text_as_it_came(target):
    assert attack(target, FEW)


@pytest.mark.parametrize("target", hostile_parsers.TARGETS, ids=lambda target: target.what)
def test_f26_f28_f10_a_parser_of_hostile_bytes_lets_only_the_documented_errors_out(target):
    assert attack(target, FEW)
