"""The safetensors files of a model folder: what they hold, read by name, and refused by name."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from nameplate.errors import ModelError
from nameplate.store.files import write_json

INDEX_FILE: Final = "model.safetensors.index.json"
Shape = tuple[int, ...]

_BELONGS: Final = "give the config.json that belongs to the weights"

_FORMATS: Final = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}


class WeightFiles:
    """All tensors of a folder, whichever file each is in. Headers are read at once, tensors when asked for.

    Args:
        folder: with one file, or shards and perhaps their index.

    Raises:
        ModelError: a file is broken, a shard is missing, or two hold a tensor of the same name.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shapes: dict[str, Shape] = {}
        """Of every tensor, by name."""
        self._files: dict[str, Path] = {}
        self._formats: Counter[str] = Counter()
        for path in _files(folder):
            self._read_header(path)

    def tensor(self, name: str) -> torch.Tensor:
        """One tensor as it is stored."""
        with _opened(self._files[name]) as file:
            found: torch.Tensor = file.get_tensor(name)
        return found

    def tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Every tensor with its name, file by file."""
        for path in dict.fromkeys(self._files.values()):
            with _opened(path) as file:
                for name in file.keys():  # noqa: SIM118  # not a mapping
                    yield name, file.get_tensor(name)

    def beginnings(self) -> Iterator[tuple[str, torch.Tensor]]:
        """The first row of every tensor with its name, read alone."""
        for path in dict.fromkeys(self._files.values()):
            with _opened(path) as file:
                for name in file.keys():  # noqa: SIM118  # not a mapping
                    yield name, file.get_slice(name)[:1] if self.shapes[name] else file.get_tensor(name)

    def check_finite(self) -> None:
        """Refuse weights that are no numbers.

        Raises:
            ModelError: with the tensor's name.
        """
        for name, tensor in self.tensors():
            self._refuse_unsound(name, tensor)

    def sound_tensor(self, name: str) -> torch.Tensor:
        """One tensor as it is stored, refused where it is no number.

        Raises:
            ModelError: with the tensor's name.
        """
        tensor = self.tensor(name)
        self._refuse_unsound(name, tensor)
        return tensor

    def dtype(self) -> torch.dtype:
        """The number format that most values are stored in.

        Raises:
            ModelError: it is none that a model can be trained or asked in.
        """
        found = self._formats.most_common(1)[0][0] if self._formats else "nothing"
        if found not in _FORMATS:
            raise ModelError(
                str(self.folder),
                found=f"weights stored as {found}",
                expected="one of " + ", ".join(_FORMATS),
                fix="give the checkpoint that is not quantised",
            )
        return _FORMATS[found]

    def equal(self, one: str, other: str) -> bool:
        """Whether two tensors are the same."""
        return self.shapes[one] == self.shapes[other] and torch.equal(self.tensor(one), self.tensor(other))

    def _refuse_unsound(self, name: str, tensor: torch.Tensor) -> None:
        if tensor.is_floating_point() and not _finite(tensor):
            raise ModelError(
                f"{self._files[name]}: {name}", found="holds NaN or infinity", fix="give a sound checkpoint"
            )

    def _read_header(self, path: Path) -> None:
        with _opened(path) as file:
            for name in file.keys():  # noqa: SIM118  # not a mapping
                if name in self._files:
                    raise ModelError(str(path), found=f"{name} is also in {self._files[name].name}", fix="remove one")
                header = file.get_slice(name)
                self._files[name] = path
                self.shapes[name] = tuple(header.get_shape())
                self._formats[header.get_dtype()] += math.prod(self.shapes[name])


def check_shapes(found: Mapping[str, Shape], expected: Mapping[str, Shape], *, where: Path) -> None:
    """Refuse tensors that are missing, too many, or of another shape.

    Raises:
        ModelError: with the first name of the worst kind.
    """
    missing, extra = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    wrong = sorted(name for name in expected.keys() & found.keys() if tuple(expected[name]) != tuple(found[name]))
    refuse(missing, "is missing", where=where, fix="give a whole checkpoint")
    if wrong:
        shapes = f"has the shape {list(found[wrong[0]])} instead of {list(expected[wrong[0]])}"
        refuse(wrong, shapes, where=where, fix=_BELONGS)
    refuse(extra, "is no weight of this model", where=where, fix=_BELONGS)


def refuse(names: Collection[str], what: str, *, where: Path, fix: str = _BELONGS) -> None:
    """Refuse weights, the first by name.

    Raises:
        ModelError: there are any.
    """
    if names:
        first = min(names)
        raise ModelError(f"{where}: {first}", found=f"{what} ({len(names)} such in all)", fix=fix)


def _files(folder: Path) -> list[Path]:
    index = folder / INDEX_FILE
    if not index.exists():
        return sorted(folder.glob("*.safetensors"))
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(str(index), found=f"malformed ({error})", expected="a weight_map") from None
    for name in names:
        # A name with a path in it could point anywhere.
        if Path(name).name != name or not (folder / name).exists():
            raise ModelError(str(folder / name), found="missing, but the index names it", fix="download it again")
    return [folder / name for name in names]


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise ModelError(str(path), found=f"cannot be loaded ({error})", fix="download it again") from error


def _finite(tensor: torch.Tensor) -> bool:
    if tensor.numel() == 0:
        return True
    # Least and greatest need no second tensor of the same size, and pass NaN on.
    least, greatest = torch.aminmax(tensor)
    return bool(torch.isfinite(least)) and bool(torch.isfinite(greatest))


def write_weights_in_pieces(
    pieces: Iterable[Mapping[str, torch.Tensor]], folder: Path, *, max_shard_bytes: int = 2_000_000_000
) -> None:
    """Write tensors that come piece by piece; never more than a shard and a piece are in memory.

    Args:
        pieces: contiguous tensors that share no memory, by name.
        folder: exists, and holds no weights.
        max_shard_bytes: a shard is only larger where one piece is.
    """
    shard: dict[str, torch.Tensor] = {}
    written: list[list[str]] = []
    sizes: Counter[str] = Counter()

    def flush() -> None:
        save_file(shard, folder / f"part-{len(written)}.safetensors", metadata={"format": "pt"})
        written.append(list(shard))
        shard.clear()

    for piece in pieces:
        new = {name: tensor.nbytes for name, tensor in piece.items()}
        if shard and sum(map(sizes.__getitem__, shard)) + sum(new.values()) > max_shard_bytes:
            flush()
        shard.update(piece)
        sizes.update(new)
    flush()
    _name_shards(written, folder, total_size=sizes.total())


def _name_shards(written: list[list[str]], folder: Path, *, total_size: int) -> None:
    if len(written) == 1:
        (folder / "part-0.safetensors").rename(folder / "model.safetensors")
        return
    weight_map: dict[str, str] = {}
    for place, names in enumerate(written):
        file = f"model-{place + 1:05d}-of-{len(written):05d}.safetensors"
        (folder / f"part-{place}.safetensors").rename(folder / file)
        weight_map |= dict.fromkeys(names, file)
    write_json(folder / INDEX_FILE, {"metadata": {"total_size": total_size}, "weight_map": weight_map})


def write_weights(state: Mapping[str, torch.Tensor], folder: Path, *, max_shard_size: str = "5GB") -> None:
    """Write tensors as `model.safetensors`, or as shards with their index.

    Args:
        state: contiguous tensors that share no memory.
        folder: exists.
        max_shard_size: as huggingface_hub reads it.
    """
    split = split_torch_state_dict_into_shards(dict(state), max_shard_size=max_shard_size)
    for file, names in split.filename_to_tensors.items():
        save_file({name: state[name] for name in names}, folder / file, metadata={"format": "pt"})
    if split.is_sharded:
        write_json(folder / INDEX_FILE, {"metadata": split.metadata, "weight_map": split.tensor_to_filename})
