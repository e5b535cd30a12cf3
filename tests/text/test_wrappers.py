import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nameplate.records import CleanReason as R
from nameplate.text.wrappers import unwrap, wrapped

BARE = "A red leather bag by Gucci with a gold chain."


@pytest.mark.parametrize(
    "text",
    [
        f"```\n{BARE}\n```",
        f"```text\n{BARE}",
        json.dumps({"caption": BARE}),
        f"```json\n{json.dumps({'caption': BARE}, indent=2)}\n```",
        json.dumps([{"description": BARE}]),
        json.dumps({"brand": "Gucci", "Product Description": BARE, "colour": "red"}),
        json.dumps({"anything": BARE}),
        f'"{BARE}"',
        f"“{BARE}”",
        f"Caption: {BARE}",
        f"**Caption:** {BARE}",
        f"**Product description:**\n\n{BARE}",
        f"Sure! Here's a detailed description of the product:\n\n{BARE}",
        f'Here is the caption: "{BARE}"',
        f"Final answer: {BARE}",
        f"## Product Description\n{BARE}",
        f"<p>{BARE}</p>",
        "A **red leather bag** by *Gucci* with a gold chain.",
        f"> {BARE}"[2:],
        f"描述：{BARE}",
        f"好的，以下是这张图片的描述：{BARE}",
    ],
)
def test_the_caption_comes_out_of_its_wrapper(text):
    assert unwrap(text).strip() == BARE


def test_a_cut_off_wrapper_gives_what_it_held():
    assert (
        unwrap('{"caption": "A red leather bag\\nby Gucci with a gold ch')
        == "A red leather bag\nby Gucci with a gold ch"
    )
    assert unwrap('{"caption": "A red leather bag by \\u00e') == "A red leather bag by "


def test_entities_are_read():
    assert unwrap("A dress by Dolce &amp; Gabbana &#x2013; red.") == "A dress by Dolce & Gabbana – red."


@pytest.mark.parametrize(
    "text",
    [
        BARE,
        "Brand: Gucci. Colour: red. Material: leather, with a gold chain.",
        'The slogan "Just be" is printed on the front of the "Gucci" bag.',
        '"Just be" is printed on the front, and "Gucci" on the back of the "bag"',
        "A 5 * 7 * 9 cm box by Gucci with a gold chain.",
        "A snake_case_name is printed on the front of this bag.",
        "Here is a red bag by Gucci: it has a gold chain.",
        "This bag is #1 in red; R&D wrote 3 < 5 on it.",
        "A description of the bag",
        '""',
        "{}",
        "```json",
        '{"price": 12, "brand": "Gucci"}',
    ],
)
def test_what_is_no_wrapper_stays(text):
    assert unwrap(text) == text


@pytest.mark.parametrize("text", ["```json", '{"price": 12, "brand": "Gucci"}', '[{"box": [1, 2]}]', '{"caption"'])
def test_data_without_a_caption_is_rejected(text):
    assert wrapped(unwrap(text)) is R.WRAPPED


def test_a_caption_is_no_data():
    assert wrapped(BARE) is None
    assert wrapped("[Gucci] is printed on it.") is None


@given(st.text(alphabet='ab {}[]":`*#<>&;\\n\n', max_size=60))
def test_no_text_makes_it_stumble(text):
    once = unwrap(text)
    assert isinstance(once, str)
    assert unwrap(text) == once
