"""The plain listing of loop rules that the package's fast forms must agree with, as it was measured on captions.

Three lines differ from the listing as published, all for Chinese: half the span (it proposes that itself), a 4-gram
counts from its fourth copy on, and a number does not swallow the characters behind it.
"""

import re
import unicodedata
from collections import Counter

_CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_TOK = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+")
_SENT = re.compile(r"[.!?。！？；;\n]+")


def norm(t):
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", t).casefold()).strip()[-2000:]


def tail_period(s, min_span=24):
    r = s[::-1]
    n = len(r)
    z = [0] * n
    left = h = 0
    best = (1, 0, 0)
    for i in range(1, n):
        k = min(h - i, z[i - left]) if i < h else 0
        while i + k < n and r[k] == r[i + k]:
            k += 1
        z[i] = k
        if i + k > h:
            left, h = i, i + k
        reps = 1 + k // i
        if reps > best[0] and i * reps >= min_span:
            best = (reps, i, i * reps)
    return best


def loop_reasons(text, *, repeats=3, cover=0.30):
    s = norm(text)
    out = set()
    cjk = re.search(f"[{_CJK}]", s)
    if tail_period(s, min_span=12 if cjk else 24)[0] >= repeats:
        out.add("tail_loop")
    sents = [
        x.strip() for x in _SENT.split(s) if len(x.strip()) >= 12 or (len(x.strip()) >= 5 and re.search(f"[{_CJK}]", x))
    ]
    c = Counter(sents)
    if c and max(c.values()) >= repeats:
        out.add("sentence_repeat")
    w = _TOK.findall(s)
    if len(w) >= 12:
        g = [tuple(w[i : i + 4]) for i in range(len(w) - 3)]
        gc = Counter(g)
        cov = bytearray(len(w))
        for i, x in enumerate(g):
            if gc[x] >= (4 if cjk else 3):
                cov[i : i + 4] = b"\1\1\1\1"
        if sum(cov) / len(w) >= cover:
            out.add("ngram_cover")
    if sum(x.isdigit() for x in w[-60:]) >= 20:
        out.add("counting")
    if len(w) >= 50 and len(set(w[-50:])) <= 18:
        out.add("few_words")
    return out
