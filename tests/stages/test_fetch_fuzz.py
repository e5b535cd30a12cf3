"""Ten thousand corrupted pictures, and any text as a link: each ends in a status, and nothing else happens."""

import json
import resource
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nameplate.stages.fetch.network.guard import Link, parse_link
from nameplate.stages.fetch.result import LinkFailed

from . import bombs, fuzz_images

ROOT = Path(__file__).parents[2]
NUM_IMAGES = 1_700


@pytest.mark.parametrize("family", fuzz_images.FAMILIES)
def test_any_corrupted_picture_is_kept_plain_or_refused(family: str, tmp_path: Path) -> None:
    """In a process of its own, under limits of the system on time (`RLIMIT_CPU`) and memory (`RLIMIT_AS`)."""
    command = [sys.executable, "-m", "tests.stages.fuzz_images", family, str(NUM_IMAGES), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    # A crash or a limit shows as a negative code; the image that did it lies in tmp_path / "last".
    assert done.returncode == 0, (done.returncode, str(tmp_path / "last"), done.stderr[-3000:])
    figures = json.loads(done.stdout.splitlines()[-1])
    counts = figures["counts"]
    assert sum(counts.values()) >= NUM_IMAGES
    assert set(counts) <= {"kept", *map(str, fuzz_images.ENDINGS)}
    # Both ways out are taken, or the corruption is too strong or too weak to prove anything.
    assert counts["kept"] > NUM_IMAGES // 25 and counts["decode_error"] > NUM_IMAGES // 25, counts
    assert figures["max_rss_mb"] < 1_000


def test_small_files_that_ask_for_much_end_soon() -> None:
    """Under 60 seconds of the processor and 2 GB of memory for all of them together."""
    command = [sys.executable, "-m", "tests.stages.bombs"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, (done.returncode, done.stderr[-3000:])
    assert json.loads(done.stdout) == {name: ending for name, (_, ending) in bombs.bombs().items()}


def test_the_limits_of_the_fuzz_are_real(tmp_path: Path) -> None:
    """The same process under the same limits dies when it takes more time, and cannot take more memory."""
    script = (
        "import resource, sys; from tests.stages import fuzz_images as fuzz; from pathlib import Path;"
        "fuzz.CPU_SECONDS = 2; fuzz.ending = lambda *_: [None for _ in iter(int, 1)];"
        "fuzz.run('jpeg', 1, Path(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, check=False, cwd=ROOT)
    assert done.returncode < 0
    script = script.replace("[None for _ in iter(int, 1)]", "bytearray(4 << 30)").replace("= 2", "= 60")
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, check=False, cwd=ROOT)
    assert done.returncode == 1 and b"MemoryError" in done.stderr
    assert resource.getrlimit(resource.RLIMIT_AS)[0] in {
        resource.RLIM_INFINITY,
        resource.getrlimit(resource.RLIMIT_AS)[1],
    }


PIECES = st.sampled_from(
    ["http://", "HTTPS:", "//", "\\", "@", ":", "[", "]", "::1", "127.1", "0x7f.1", "%00", "%", "#", "?", "/", "..",
     "xn--", "\x00", "\n", "\t", " ", "shop.example", "user:pw@", ":99999", ":0", "file:", "data:", "1e9",
     "\u2028", "\u3002", "\udcff"]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=60), st.lists(st.one_of(PIECES, st.text(max_size=4)), max_size=9).map("".join))


@given(TEXTS, st.sampled_from(["", "https://shop.example/a/b", "http://[2001:db8::1]:8080/?q"]))
@settings(max_examples=3_000, deadline=None, derandomize=True)
def test_any_text_is_a_link_or_refused(text: str, base: str) -> None:
    try:
        link = parse_link(text, base=base)
    except LinkFailed as failure:
        assert failure.status in {"bad_url", "scheme_blocked", "address_blocked", "missing_url"}, failure
        return
    assert isinstance(link, Link)
    assert link.url.startswith(("http://", "https://")) and link.host
    assert "@" not in urlsplit(link.url).netloc
    assert parse_link(link.url).host == link.host, "what was checked is what will be asked"
