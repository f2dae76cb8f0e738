import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.packed import IDIndex, PackedTexts, key_at, key_of

A, B, C = "300021001747353236343035", "0" * 24, "f" * 24
ids = st.binary(min_size=12, max_size=12).map(bytes.hex)
# So that some share their first or last characters, as a batch does.
alike = st.integers(0, 300).map(lambda number: f"{number:024x}") | st.integers(0, 300).map(lambda n: f"{n:04x}" + B[4:])
lists = st.lists(ids | alike, unique=True, max_size=300)
# What could be taken for an ID by something that only reads hex: white space between bytes, capitals, too much.
no_ids = (
    st.text(max_size=30)
    | ids.map(str.upper).filter(lambda text: not text.isdigit())
    | ids.map(lambda text: text[:-1])
    | ids.map(lambda text: text + "00")
    | ids.map(lambda text: f" {text}")
    | ids.map(lambda text: f"{text[:2]} {text[2:]}")
    | ids.map(lambda text: f"{text[:2]} {text[2:-1]}")
    | st.text("0123456789abcdef \n", min_size=24, max_size=24).filter(lambda text: not text.strip().isalnum())
    | st.text("٠١٢٣٤٥٦٧٨٩", min_size=24, max_size=24)
).filter(lambda text: not (len(text) == 24 and set(text) <= set("0123456789abcdef")))
no_texts = st.none() | st.integers() | st.binary(max_size=12) | st.tuples(st.text()) | st.floats()


def index_of(listed, **more):
    return IDIndex(b"".join(map(key_of, listed)), **more)


@given(listed=lists, others=st.lists(ids | alike), expected=st.integers(0, 1000), one_by_one=st.booleans())
def test_an_index_is_a_dict_of_numbers_in_the_order_of_coming(listed, others, expected, one_by_one):
    model = {text: number for number, text in enumerate(listed)}
    if one_by_one:
        index = IDIndex(expected=expected)
        assert [index.add(text) for text in listed] == list(model.values())
    else:
        index = index_of(listed, expected=expected)
    assert index == model
    assert list(index.items()) == list(model.items())
    assert [index.id_of(number) for number in model.values()] == listed
    for text in others:
        assert index.get(text) == model.get(text)
        assert (text in index) is (text in model)


@given(listed=lists, first=st.integers(0, 300))
def test_an_index_grows_from_what_it_began_with(listed, first):
    index = index_of(listed[:first])
    for number, text in enumerate(listed[first:], len(listed[:first])):
        assert index.get(text) is None
        assert index.add(text) == number
        assert index[text] == number
    assert dict(index) == {text: number for number, text in enumerate(listed)}


@given(listed=lists, no_id=no_ids | no_texts)
def test_what_is_no_id_is_not_in_an_index_and_not_added(listed, no_id):
    index = index_of(listed)
    assert no_id not in index
    assert index.get(no_id) is None
    with pytest.raises(KeyError):
        index[no_id]
    with pytest.raises(ValueError, match="device ID"):
        index.add(no_id)
    assert list(index) == listed


@given(text=ids | alike, before=lists, after=lists)
def test_a_key_is_twelve_bytes_and_can_be_read_again(text, before, after):
    keys = b"".join(map(key_of, [*before, text, *after]))
    assert len(keys) == 12 * (len(before) + 1 + len(after))
    assert key_at(keys, len(before)).hex() == text


def test_an_id_is_added_once():
    index = index_of([A])
    with pytest.raises(ValueError, match="already"):
        index.add(A)
    with pytest.raises(ValueError, match="already"):
        index_of([A, B, A])
    assert list(index) == [A]


@given(listed=lists, start=st.integers(0, 300), length=st.integers(0, 300), cut=st.slices(300))
def test_a_part_is_that_slice_of_the_list(listed, start, length, cut):
    stop = min(len(listed), start + length)
    start = min(start, stop)
    part = index_of(listed).part(start, stop)
    assert list(part) == listed[start:stop]
    assert list(part[cut]) == listed[start:stop][cut]
    assert [part[at] for at in range(-len(part), len(part))] == listed[start:stop] * 2
    with pytest.raises(IndexError):
        part[len(part)]


def test_a_part_has_what_was_there_when_it_was_made_and_no_more():
    index = index_of([A, B])
    part = index.part(1, 2)
    index.add(C)
    assert list(part) == [B]


@pytest.mark.parametrize("expected", [0, 3_000])
@pytest.mark.parametrize("one_by_one", [False, True])
def test_an_id_takes_twenty_three_bytes_at_most(expected, one_by_one):
    listed = [f"{number:024x}" for number in range(3_000)]
    index = index_of([] if one_by_one else listed, expected=expected)
    for text in listed if one_by_one else ():
        index.add(text)
    size = sum(sys.getsizeof(getattr(index, slot)) for slot in index.__slots__)
    assert size <= 23 * len(listed) + 200  # and 200 for the two objects


def test_that_many_are_expected_costs_nothing_until_they_come():
    index = IDIndex(expected=10**15)
    assert sum(sys.getsizeof(getattr(index, slot)) for slot in index.__slots__) < 7_000_000
    assert index.add(A) == 0


serials = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=32)


@given(texts=st.lists(st.none() | serials, max_size=60), cut=st.slices(60))
def test_packed_texts_are_the_list(texts, cut):
    packed = PackedTexts(texts)
    assert list(packed) == texts
    assert packed[cut] == texts[cut]
    assert [packed[at] for at in range(-len(texts), len(texts))] == texts * 2
    with pytest.raises(IndexError):
        packed[len(texts)]


@pytest.mark.parametrize("text", ["", "\0", "a\0", "é", "\udc80", "x" * 256])
def test_what_would_not_come_back_is_no_packed_text(text):
    with pytest.raises(ValueError, match="kept"):
        PackedTexts(["a", text])
