import pytest

from nameplate.records import CleanReason as R
from nameplate.text.reading import Reading
from nameplate.text.salad import word_salad


@pytest.mark.parametrize(
    "text",
    [
        "A red bag xkcdqw bnmzrt plkjhg wvbtrs qzxcvb with a zip and a strap of brown.",
        "A red bag by Gucci, " + "anti" * 12 + ", in leather.",
        "The of bag red a is with and the the leather on a strap of the is gold from a chain the.",
    ],
)
def test_salad_is_found(text):
    assert word_salad(Reading(text), language="en") is R.WORD_SALAD


@pytest.mark.parametrize(
    "text",
    [
        "A red leather bag by Gucci with a gold chain.",
        "An it bag by Gucci in red leather, soft and small.",
        "A DKNY T-shirt, a MCQ dress, a JBL box, an HTC phone and BMW shorts by NBHD with strengths.",
        "The A-line skirt from the A.P.C. line, size A. The hem is long, and the 'it' bag by The Row is an it bag.",
        "Model HDMI-4K2160P-XQ9 with 128GB, art. no. 84Z1R-KK31-TTX, colour code 19-4052 TCX.",
        "www.example.com/products/red-leather-shoulder-bag-with-gold-chain-and-zip is printed on the label.",
        "这是一款红色的真皮单肩包，肩带很长，包身正面印有金色标志，内部有两个口袋，适合日常使用，也适合旅行使用，拉链为金色，底部有五个金属脚钉。",
    ],
)
def test_odd_honest_words_are_no_salad(text):
    assert word_salad(Reading(text), language="en") is None


def test_english_grammar_is_not_asked_of_chinese():
    assert word_salad(Reading("The of bag a is with the the leather a of."), language="zh") is None
