"""What teachers wrap a caption in: code fences, JSON, HTML, Markdown, quotes, "Here is the caption:".

A wrapper is taken off only when a caption is left; nothing inside is changed.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any

from nameplate.records import CleanReason
from nameplate.text.words import count_words

_MIN_WORDS = 3
_MAX_LAYERS = 4
_CAPTION_KEYS = (
    *("caption", "description", "text", "answer", "product_description", "image_description", "detailed_description"),
    *("output", "response", "result", "content", "描述", "标题"),
)
_NAMES_OF_IT = r"(?:caption|description|answer|summary|text|sentence|paragraph)s?"
_LABEL = re.compile(
    r"[\s#*_>\"“]*(?:(?:sure|certainly|of course|absolutely|okay|ok|great|yes)\b[!,.]*\s*)?"
    r"(?:(?:here(?:['’]?s| is| are)|(?:this|the following) is|below is)\b"
    rf"[^:：\n]{{0,80}}\b{_NAMES_OF_IT}\b[^:：\n]{{0,60}}|"
    rf"(?:(?:product|image|picture|photo|final|short|detailed|brief|revised|suggested|english) ){{0,3}}{_NAMES_OF_IT})"
    r"[*_\s]*[:：][*_\s]*",
    re.IGNORECASE,
)
_LABEL_ZH = re.compile(
    r"\s*(?:(?:好的|当然)[，,。！!\s]*)?(?:(?:以下|下面|这)是?[^：:。\n]{0,30})?(?:描述|说明|标题|文案|答案|介绍)\s*[:：]\s*"
)
_FENCE = re.compile(r"\s*```[\w-]*[ \t]*\n?(.*?)(?:\n?```\s*|$)", re.DOTALL)
_CUT_JSON = re.compile(rf'\s*\{{\s*"(?:{"|".join(_CAPTION_KEYS)})"\s*:\s*"((?:[^"\\]|\\.)*)', re.IGNORECASE | re.DOTALL)
_QUOTES = {'"': '"', "“": "”", "‘": "’", "«": "»", "「": "」", "『": "』", "'": "'", "`": "`"}
_TAG = re.compile(r"</?(?:p|br|b|i|u|em|strong|div|span|ul|ol|li|h[1-6])\b[^<>]{0,200}>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#\d{1,6}|#x[0-9a-f]{1,6}|[a-z]{2,8});", re.IGNORECASE)
_STRESS = (
    re.compile(r"(\*{2,3})(?=[^\s*])([^*]+)(?<=[^\s*])\1(?!\*)"),
    re.compile(r"(?<!\w)(__)(?=[^\s_])([^_]+)(?<=[^\s_])__(?!\w)"),
    re.compile(r"(?<![\w*])(\*)(?=[^\s*])([^*\n]+)(?<=\S)\*(?![\w*])"),
)
_HEADING = re.compile(r"^[ \t]*#{1,6}[ \t]+", re.MULTILINE)
_TITLE_LINE = re.compile(
    rf"^[ \t]*#{{1,6}}[^\n]{{0,100}}\b{_NAMES_OF_IT}\b[^\n]{{0,100}}\n+", re.IGNORECASE | re.MULTILINE
)
_DATA = re.compile(r"\s*(?:```|\{\s*[\"'}]|\[\s*[\"{])")
# A text that begins with a letter or digit and holds none of these is in no wrapper; labels end within 200 characters.
_MARKS = ("*", "_", "<", "&", "#", "`")
_COLONS = (":", "：")
_LABEL_CHARACTERS = 200


def unwrap(text: str) -> str:
    """The caption inside its wrappers; `text` itself when there is none, or nothing of three words is left."""
    if _is_plain(text):
        return text
    for _ in range(_MAX_LAYERS):
        opened = _open_once(text)
        if opened == text or count_words(opened) < _MIN_WORDS:
            break
        text = opened
    return text


def wrapped(text: str) -> CleanReason | None:
    """Data or code in which `unwrap` found no caption."""
    return CleanReason.WRAPPED if _DATA.match(text) else None


def _is_plain(text: str) -> bool:
    beginning = text[:_LABEL_CHARACTERS]
    return beginning[:1].isalnum() and not any(
        [*(mark in text for mark in _MARKS), *(colon in beginning for colon in _COLONS)]
    )


def _open_once(text: str) -> str:
    for step in (_without_fence, _from_json, _without_quotes, _without_label, _without_html, _without_markdown):
        opened = step(text)
        if opened != text:
            return opened
    return text


def _without_fence(text: str) -> str:
    found = _FENCE.match(text)
    return found[1] if found and not text[found.end() :].strip() else text


def _from_json(text: str) -> str:
    if not text.lstrip().startswith(("{", "[")):
        return text
    try:
        found = _caption_in(json.loads(text))
    except (ValueError, RecursionError):  # brackets a thousand deep
        cut = _CUT_JSON.match(text)
        return _unescaped(cut[1]) if cut else text
    return text if found is None else found


def _caption_in(tree: Any) -> str | None:
    if isinstance(tree, list) and len(tree) == 1:
        return _caption_in(tree[0])
    if isinstance(tree, str):
        return tree
    if not isinstance(tree, dict):
        return None
    named = next((value for key in _CAPTION_KEYS if isinstance(value := _get(tree, key), str)), None)
    texts = [value for value in tree.values() if isinstance(value, str)]
    return named if named is not None else texts[0] if len(tree) == len(texts) == 1 else None


def _get(tree: Mapping[str, Any], key: str) -> Any:
    return next((value for name, value in tree.items() if name.casefold().replace(" ", "_") == key), None)


def _unescaped(inside: str) -> str:
    """The text of a JSON string whose end was cut off, perhaps inside an escape."""
    whole = re.sub(r"\\(?:u[0-9a-fA-F]{0,3})?$", "", inside)
    try:
        return str(json.loads(f'"{whole}"', strict=False))
    except ValueError:
        return whole


def _without_label(text: str) -> str:
    found = _LABEL.match(text) or _LABEL_ZH.match(text)
    return text[found.end() :] if found else text


def _without_quotes(text: str) -> str:
    bare = text.strip()
    closing = _QUOTES.get(bare[:1])
    if closing is None or len(bare) < 2 or not bare.endswith(closing):
        return text
    inside = bare[1:-1]
    return text if closing in inside or bare[0] in inside else inside


def _without_html(text: str) -> str:
    opened = _TAG.sub(" ", text) if "<" in text else text
    return html.unescape(opened) if _ENTITY.search(opened) else opened


def _without_markdown(text: str) -> str:
    for pattern in _STRESS if "*" in text or "__" in text else ():
        text = pattern.sub(r"\2", text)
    if "#" in text:
        text = _HEADING.sub("", _TITLE_LINE.sub("", text))
    return text
