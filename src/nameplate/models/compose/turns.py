"""How a language model takes turns, read off its own chat template, and the same template with images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from nameplate.errors import ModelError
from nameplate.models.contract import ImageContract
from nameplate.models.internvl.processing import IMAGE_TOKEN
from nameplate.models.tokenizer import leading_ids

_QUESTION, _ANSWER, _AGAIN = "nameplate asks", "nameplate answers", "nameplate asks again"
_TALK: Final = (("user", _QUESTION), ("assistant", _ANSWER), ("user", _AGAIN))


class Turns(NamedTuple):
    """What opens and ends a turn, and what the system says where nobody tells it what to say."""

    start: str
    """With {role}."""
    end: str
    system: str


def turns_of(tokenizer: PreTrainedTokenizerBase, *, where: str) -> Turns:
    """The turns of a chat template, found by letting it write a short conversation.

    Args:
        tokenizer: of a chat model.
        where: it is from, for errors.

    Raises:
        ModelError: there is no template (a base model), or its turns are not opened by a role and all ended alike.
    """
    if not tokenizer.chat_template:
        raise ModelError(
            where,
            found="its tokenizer has no chat template: a base model does not know where an answer ends",
            expected="a chat model",
            fix="give the -Instruct (-Chat) version of the model",
        )
    talk, closed = _render(tokenizer, _TALK, where=where), _render(tokenizer, _TALK[:2], where=where, asks=False)
    before, rest = _cut(talk, _QUESTION, where=where)
    to_answer, rest = _cut(rest, _ANSWER, where=where)
    to_user, to_last = _cut(rest, _AGAIN, where=where)
    end = closed.rpartition(_ANSWER)[2]
    user, assistant = to_user.removeprefix(end), to_answer.removeprefix(end)
    start = user.replace("user", "{role}")
    same = user.count("user") == 1 and start.replace("{role}", "assistant") == assistant
    ended = end.strip() and all(
        each.startswith(end + opening)
        for each, opening in (
            (to_user, user),
            (to_answer, assistant),
            (to_last, assistant),
        )
    )
    if not same or not ended or not before.endswith(user):
        raise _unlike(where, found=talk)
    system = _system(before.removesuffix(user), start, end, tokenizer, where=where)
    return Turns(start, end, system)


def image_template(contract: ImageContract, *, leading: str) -> str:
    """A Jinja chat template of these turns, in which an image is the image token and a line break.

    That is how transformers' own processor of InternVL wants it: it puts all image tokens of an image for the one.
    """
    before, after = contract.turn_start.split("{role}")
    opening, system = contract.opening("assistant"), contract.opening("system") + contract.system + contract.turn_end
    default = f"{{% if messages[0]['role'] != 'system' %}}{{{{ {_quoted(system)} }}}}{{% endif %}}"
    return "".join(
        (
            f"{{{{ {_quoted(leading)} }}}}",
            default if contract.system else "",
            "{% for message in messages %}",
            f"{{{{ {_quoted(before)} + message['role'] + {_quoted(after)} }}}}",
            "{% if message['content'] is string %}{{ message['content'] }}{% else %}",
            "{% for part in message['content'] %}",
            f"{{% if part['type'] == 'image' %}}{{{{ {_quoted(IMAGE_TOKEN)} + '\\n' }}}}",
            "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}",
            f"{{{{ {_quoted(contract.turn_end)} }}}}{{% endfor %}}",
            f"{{% if add_generation_prompt %}}{{{{ {_quoted(opening)} }}}}{{% endif %}}",
        )
    )


def leading_text(tokenizer: PreTrainedTokenizerBase) -> str:
    """What the tokenizer puts before every text, as text."""
    return str(tokenizer.decode(leading_ids(tokenizer)))


def _render(
    tokenizer: PreTrainedTokenizerBase, talk: Sequence[tuple[str, str]], *, where: str, asks: bool = True
) -> str:
    messages: list[dict[str, Any]] = [{"role": role, "content": text} for role, text in talk]
    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=asks))
    except (TemplateError, TypeError, KeyError, ValueError) as error:
        raise ModelError(where, found=f"its chat template cannot be used ({error})", fix="give another model") from None


def _cut(text: str, mark: str, *, where: str) -> tuple[str, str]:
    before, found, after = text.partition(mark)
    if not found:
        raise _unlike(where, found=text)
    return before, after


def _system(text: str, start: str, end: str, tokenizer: PreTrainedTokenizerBase, *, where: str) -> str:
    """What the system says, out of all that comes before the first question; empty: no such turn."""
    lead, found, said = text.partition(start.replace("{role}", "system"))
    if lead not in ("", leading_text(tokenizer)) or (found and not said.endswith(end)):
        raise _unlike(where, found=text)
    return said.removesuffix(end)


def _unlike(where: str, *, found: str) -> ModelError:
    return ModelError(
        where,
        found=f"its chat template writes a conversation as {found!r}",
        expected="turns that are opened by system, user or assistant and all ended alike, as in ChatML or Llama 3",
        fix="give a language model of such a family",
    )


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
