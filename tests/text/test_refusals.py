import pytest

from nameplate.records import CleanReason as R
from nameplate.text.reading import Reading
from nameplate.text.refusals import leaked, refusal

PROMPT = "Describe this product in detail. Its brand is Gucci; name the brand in the first sentence."


def judged(text, prompt=""):
    return [code for code in (refusal(text), leaked(Reading(text, prompt=prompt))) if code is not None]


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "Sorry, I cannot identify brands.",
        "As an AI language model, I see a bag.",
        "I cannot see the picture well.",
        "There is no image attached to your message.",
        "Please provide the image of the product.",
        "作为一个人工智能助手，我看到一个包。",
        "抱歉，我不能回答。",
    ],
)
def test_a_refusal_is_found(text):
    assert R.REFUSAL in judged(text)


@pytest.mark.parametrize(
    "text",
    [
        "Okay, let me look at the picture first.",
        "So, I need to describe this bag in detail.",
        "Let's see what is there.",
        "To describe this bag, I should look at the strap.",
        "The bag is red. Wait, the strap is brown. So the bag is red and brown.",
        "The user wants a caption, so the bag is red.",
        "This bag is by Gucci, based on the metadata provided.",
        "Based on the metadata provided, this is a bag.",
        "Describe this product in detail. Its brand is Gucci.",
        "<think>The user wants a caption.</think> A red bag.",
        "The bag is red.</think>",
        "A red bag.<|im_end|>",
        "The answer is \\boxed{Gucci}",
        "It is a bag. **Final Answer** A red bag by Gucci.",
        "Assistant: A red bag.",
        "根据提供的元数据，这是古驰的包。",
    ],
)
def test_what_leaked_is_found(text):
    assert R.LEAKED in judged(text)


def test_an_echo_of_the_prompt_is_eight_of_its_words_in_a_row():
    echo = "This is a bag. Name the brand in the first sentence."
    assert judged(f"{echo} It is Gucci; name the brand in the first sentence.", PROMPT) == [R.LEAKED]
    assert judged(echo, PROMPT) == []
    assert judged(echo) == []


@pytest.mark.parametrize(
    "text",
    [
        "This is a red leather shoulder bag by Gucci on a plain white background.",
        "The back of the bag cannot be seen in the picture. I'm sorry is printed on it.",
        "Well-made boots in brown.",
        "First-class leather in black.",
        'A T-shirt with the words "I\'m sorry" on it.',
        "The user can carry it on the shoulder.",
        "In the picture, a bag lies on a table.",
        "A lanyard is provided with the case, and a battery is given in the box.",
        "The information given on the label is in Italian.",
        "A pair of headphones for users who wait: the answer to long flights.",
        "A cap with [brackets] and <angles> printed on the front.",
        "这是一款红色的真皮单肩包，可供用户单肩背。",
    ],
)
def test_an_honest_caption_is_neither(text):
    assert judged(text) == []
