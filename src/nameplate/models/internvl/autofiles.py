"""The files by which transformers' `AutoProcessor` reads images and questions as we do; servers load them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from nameplate.models.contract import PROCESSOR_FILE, ImageContract
from nameplate.store.files import write_json, write_text

TEMPLATE_FILE: Final = "chat_template.jinja"
TOKENIZER_FILE: Final = "tokenizer_config.json"


def write_auto_files(
    contract: ImageContract, folder: Path, *, image_token: str, spare_token: str, leading: str
) -> None:
    """Write processor and chat template, and name the image's tokens in the tokenizer's settings.

    Args:
        contract: how images and turns are written.
        folder: where tokenizer and `preprocessor_config.json` are already.
        image_token: stands for one piece of an image.
        spare_token: never stands in a question.
        leading: what stands before the first turn.
    """
    write_json(
        folder / PROCESSOR_FILE,
        {"processor_class": "InternVLProcessor", "image_seq_length": contract.num_image_tokens},
    )
    write_text(folder / TEMPLATE_FILE, chat_template(contract, image_token=image_token, leading=leading))
    path = folder / TOKENIZER_FILE
    tree = json.loads(path.read_text(encoding="utf-8"))
    # There are no videos; but the class wants a token for them, and a new one would have no embedding.
    named = {"start_image_token": "<img>", "end_image_token": "</img>"}
    named |= {"context_image_token": image_token, "video_token": spare_token}
    write_json(path, tree | named | {"processor_class": "InternVLProcessor"})


def chat_template(contract: ImageContract, *, image_token: str, leading: str) -> str:
    """The contract's turns in Jinja: an image, wherever it is in its turn, is followed by a line break."""
    start, end = contract.turn_start.split("{role}"), _quoted(contract.turn_end)
    opening = f"{{{{- {_quoted(start[0])} + message['role'] + {_quoted(start[1])} }}}}"
    system = f"{contract.opening('system')}{contract.system}{contract.turn_end}" if contract.system else ""
    return "\n".join(
        [
            f"{{{{- {_quoted(leading)} }}}}",
            "{%- if messages[0]['role'] != 'system' %}",
            f"{{{{- {_quoted(system)} }}}}",
            "{%- endif %}",
            "{%- for message in messages %}",
            opening,
            "{%- if message['content'] is string %}",
            "{{- message['content'] }}",
            "{%- else %}",
            "{%- for part in message['content'] %}",
            "{%- if part['type'] in ('image', 'image_url') %}",
            f"{{{{- {_quoted(image_token)} + '\\n' }}}}",
            "{%- else %}",
            "{{- part['text'] }}",
            "{%- endif %}",
            "{%- endfor %}",
            "{%- endif %}",
            f"{{{{- {end} }}}}",
            "{%- endfor %}",
            "{%- if add_generation_prompt %}",
            f"{{{{- {_quoted(contract.opening('assistant'))} }}}}",
            "{%- endif %}",
        ]
    )


def _quoted(text: str) -> str:
    """As a literal of Jinja, which reads JSON's escapes."""
    return json.dumps(text)
