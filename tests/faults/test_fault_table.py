"""The fault table and the tests agree: no fault without a test, no number that is in no table."""

import fault_table
import pytest
from report import Part, Row, lines, merged


@pytest.mark.parametrize("fault", fault_table.FAULTS)
def test_every_fault_is_named_by_a_test(fault):
    assert fault_table.tests_of().get(fault), f"no test names {fault}: {fault_table.FAULTS[fault].sentence}"


def test_no_test_names_a_fault_that_is_in_no_table():
    assert fault_table.tests_of().keys() <= fault_table.FAULTS.keys()


def test_the_table_has_every_number_once_those_of_later_devices_too():
    numbers = [*fault_table.FAULTS, *fault_table.LATER]

    assert sorted(numbers, key=lambda fault: int(fault[1:])) == [f"F{number}" for number in range(1, 39)]
    assert all(set(fault.invariants) <= fault_table.INVARIANTS.keys() for fault in fault_table.FAULTS.values())
    assert all(fault.invariants for fault in fault_table.FAULTS.values())


@pytest.mark.parametrize(
    ("name", "docstring", "found"),
    [
        ("test_f7_at_every_call", "", {"F7"}),
        ("test_it", "F1, F2: the power fails.", {"F1", "F2"}),
        ("test_half_of_it", "A file of 0xF7 bytes.", set()),
    ],
)
def test_a_test_names_a_fault_in_its_name_or_docstring(name, docstring, found):
    assert fault_table.numbers_in(name, docstring) == found


def test_rows_of_one_injury_add_up_and_stand_in_the_order_of_their_numbers():
    rows = merged([Row("F10", "b", 1, 1), Row("F2", "a", 2, 1), Row("F10", "b", 3, 1), Row("-", "c", 1, 1)])

    assert [(row.fault, row.times, row.runs) for row in rows] == [("F2", 2, 1), ("F10", 4, 2), ("-", 1, 1)]


def test_the_report_ends_with_what_broke():
    part = Part("seeds", [Row("F1", "a", 3, 1)], violations=["I4: something: again"])

    assert lines([part])[-2:] == [
        "VIOLATED  I4: something: again",
        "3 injuries of 1 kinds of the fault table; violations: 1.",
    ]
