"""Tiny parts for `nameplate compose`, and captions to align and tune them with: `python make_parts.py work`.

    work/vision        an InternViT alone, as InternViT-300M-448px-V2_5 is published (`InternVisionModel`)
    work/language      a Qwen2 chat model alone, whose tokenizer knows nothing of images
    work/captions.csv  pictures of a made-up shop, each with its brand and a description

Both parts are cut out of the starter that comes with Nameplate, so that the one can see and the other can talk; what
connected them is thrown away.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen2ForCausalLM

from nameplate.demo import phrases
from nameplate.demo.feed import make_listings
from nameplate.demo.render import encode_jpeg, render
from nameplate.models.internvl.config import to_original_config
from nameplate.models.internvl.keys import to_original, vision_parts
from nameplate.models.load import LoadedModel, load_model
from nameplate.models.weights import write_weights

IMAGE_TOKENS = ("<img>", "</img>", "<IMG_CONTEXT>")
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def main() -> None:
    """Write all three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=1600, help="rows of the table")
    parser.add_argument("--seed", type=int, default=0, help="another seed: another shop")
    options = parser.parse_args()
    starter = load_model("starter", dtype=torch.bfloat16)
    write_vision(starter, options.folder / "vision")
    write_language(starter, options.folder / "language")
    write_captions(options.folder, num_pictures=options.pictures, seed=options.seed)


def write_vision(starter: LoadedModel, folder: Path) -> None:
    """The tower alone, under its original names."""
    folder.mkdir(parents=True, exist_ok=True)
    prefix = "model.vision_tower."
    state = starter.model.state_dict()
    tower = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    write_weights({name: tensor.contiguous() for name, tensor in to_original(tower, vision_parts()).items()}, folder)
    config = to_original_config(starter.model.config, dtype="bfloat16")["vision_config"]  # type: ignore[arg-type]
    (folder / "config.json").write_text(json.dumps(config, indent=2))


def write_language(starter: LoadedModel, folder: Path) -> None:
    """The language model alone: image tokens are gone from its vocabulary, and their rows from its embeddings."""
    folder.mkdir(parents=True, exist_ok=True)
    tree = json.loads((starter.folder / "tokenizer.json").read_text(encoding="utf-8"))
    old = tree["model"]["vocab"]
    kept = sorted((token for token in old if token not in IMAGE_TOKENS), key=old.__getitem__)
    new = {token: place for place, token in enumerate(kept)}
    tree["model"]["vocab"] = new
    tree["added_tokens"] = [
        {**token, "id": new[token["content"]]} for token in tree["added_tokens"] if token["content"] in new
    ]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(tree)),
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        chat_template=CHATML,
    )
    tokenizer.save_pretrained(folder)
    config = starter.model.config.get_text_config()
    config.vocab_size = len(kept)
    model = Qwen2ForCausalLM(config).to(torch.bfloat16)
    prefix = "model.language_model."
    state = {
        "model." + name.removeprefix(prefix): tensor
        for name, tensor in starter.model.state_dict().items()
        if name.startswith(prefix)
    }
    embeddings = "model.embed_tokens.weight"
    state[embeddings] = state[embeddings][[old[token] for token in kept]]
    model.load_state_dict(state | {"lm_head.weight": state[embeddings]})
    model.generation_config = GenerationConfig(eos_token_id=new["<|im_end|>"], pad_token_id=new["<|endoftext|>"])
    model.save_pretrained(folder)


def write_captions(folder: Path, *, num_pictures: int, seed: int) -> None:
    """Pictures, and a table with `id, image, brand, caption`."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    with (folder / "captions.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["id", "image", "brand", "code", "caption"])
        for listing in make_listings(seed=seed, num_listings=num_pictures):
            scene, file = listing.scene, f"images/{listing.listing_id}.jpg"
            picture = render(scene, brand=listing.brand, seed=listing.picture_seed)
            (folder / file).write_bytes(encode_jpeg(picture, seed=listing.picture_seed))
            words = {"kind": scene.kind, "colour": scene.colour, "background": scene.background, "place": scene.place}
            caption = phrases.detail(brand=listing.brand, seed=listing.picture_seed, **words)
            table.writerow([listing.listing_id, file, listing.brand, listing.product_code, caption])


if __name__ == "__main__":
    main()
