"""`nameplate names` as a person meets it, and docs/names.md as its proof."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from nameplate.cli.app import app
from nameplate.names import Matcher, build_registry
from nameplate.names.overrides import read_overrides
from nameplate.records import SCHEMAS, NameVerdict
from nameplate.store.tables import StageTables

from .messy import ROWS, write_catalogue

DOCS = (Path(__file__).parents[2] / "docs" / "names.md").read_text(encoding="utf-8")


def nameplate(*words: object, width: int = 80) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": str(width)})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_catalogue(tmp_path / "catalogue.csv")


def found(*words: object) -> dict[str, object]:
    code, out, err = nameplate("names", *words, "--json", "--force")
    assert code == 0, err
    return json.loads(out)


def test_the_docs_show_what_is_printed_and_written(shop: Path) -> None:
    (shown,) = re.findall(r"```console\n\$ nameplate names catalogue.csv\n(.*?)```", DOCS, re.DOTALL)
    code, out, _ = nameplate("names", "catalogue.csv")
    assert code == 0
    assert [line.rstrip() for line in out.splitlines()] == [line.rstrip() for line in shown.splitlines()]
    assert max(map(len, out.splitlines())) <= 80
    written = Path("names.yaml").read_text(encoding="utf-8")
    (excerpt,) = re.findall(r"```yaml\n# --- To be decided.*?\n(.*?)```", DOCS, re.DOTALL)
    assert all(block.strip() in written for block in excerpt.split("\n...\n"))
    assert excerpt.count("\n...\n") == 1


def test_the_verdicts_in_the_docs_are_those_of_the_matcher(tmp_path: Path) -> None:
    (file,) = re.findall(r"```yaml\n(Saint Laurent:.*?)```", DOCS, re.DOTALL)
    (tmp_path / "names.yaml").write_text(file, encoding="utf-8")
    names = dict.fromkeys(["CHLOÉ", "Chloé", "Coach", "Gucci", "Prada", "Dolce & Gabbana", "A.P.C."], 1)
    matcher = Matcher(build_registry(names, tmp_path / "names.yaml"))
    rows = re.findall(r"^\| `(.+?)` \| (.+?) \| `(\w+)` \|", DOCS, re.MULTILINE)
    assert len(rows) > 20 and {verdict for _, _, verdict in rows} == set(NameVerdict)
    for text, name, verdict in rows:
        assert matcher.judge(text, name).verdict == verdict, text


def test_the_file_is_taken_by_a_recipe(shop: Path) -> None:
    nameplate("names", shop)
    Path("recipe.yaml").write_text(
        "table: {source: catalogue.csv, image: imageurl, title: title}\nname: {column: brand, registry: names.yaml}\n"
    )
    code, out, err = nameplate("ingest", "recipe.yaml", "--json")
    assert code == 0, err
    record = json.loads(out)["stages"]["ingest"]
    plain = {name: count for name, count in ROWS.items() if name != "N.A."}
    assert record["details"]["registry"] == build_registry(plain).fingerprint


def test_a_recipe_brings_its_column_its_nulls_and_its_decisions(shop: Path) -> None:
    Path("decided.yaml").write_text("Gucci: {aliases: [Guccii]}\n")
    Path("recipe.yaml").write_text(
        "table: {source: catalogue.csv, image: imageurl, title: title, null_values: ['', N.A., Unknown]}\n"
        "name: {column: brand, registry: decided.yaml}\n"
    )
    seen = found("recipe.yaml")
    assert seen["rows_without_name"] == ROWS["N.A."] + ROWS["Unknown"] + ROWS["\N{EM DASH}"]
    assert not any(pair["other"] == "Guccii" for pair in seen["proposals"])
    assert seen["texts"]["from"] == "column title of the table"
    gucci = next(each for each in read_overrides(Path("names.yaml")) if each.display == "Gucci")
    assert gucci.aliases == ("Guccii",)


def test_nothing_is_written_over_without_force(shop: Path) -> None:
    Path("names.yaml").write_text("Mine:\n")
    code, out, err = nameplate("names", shop)
    assert code == 2 and out == "" and "there is a file already" in err and "--force" in err
    assert Path("names.yaml").read_text() == "Mine:\n"
    assert nameplate("names", shop, "--force")[0] == 0
    assert Path("names.yaml").read_text() != "Mine:\n"


CAPTIONS = [("Gucci", "A velvet bag in a Velvet box by Gucci.")] * 4 + [("VELVET", "A dress by Velvet.")]


def captions_table(folder: Path, kind: str) -> Path:
    path = folder / f"captions.{kind}"
    table = pa.table({"brand": [name for name, _ in CAPTIONS], "caption": [text for _, text in CAPTIONS]})
    if kind == "parquet":
        pq.write_table(table, path)
    elif kind == "jsonl":
        path.write_text("\n".join(json.dumps(row) for row in table.to_pylist()))
    else:
        path.write_text("brand,caption\n" + "\n".join(f"{name},{text}" for name, text in CAPTIONS))
    return path


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "run"])
def test_offenders_are_measured_on_captions(shop: Path, kind: str) -> None:
    where = captions_table(shop.parent, kind) if kind != "run" else Path("runs/one")
    if kind == "run":
        empty = {field.name: [None] * len(CAPTIONS) for field in SCHEMAS["caption"]}
        own = {"row_id": list("abcde"), "name": [n for n, _ in CAPTIONS], "caption_raw": [t for _, t in CAPTIONS]}
        rows = pa.table({**empty, **own}).cast(SCHEMAS["caption"])
        pq_folder = StageTables(where / "caption", "caption")
        pq_folder.kept_path(0).parent.mkdir(parents=True)
        pq.write_table(rows, pq_folder.kept_path(0))
    seen = found(shop, "--captions", where)
    assert seen["texts"] == {"from": str(where), "looked_at": 5}
    (velvet,) = seen["offenders"]
    expected = {"name": "Velvet", "policy": "cased", "found": 4, "claimed": 4, "suggests": "context", "claimed_then": 0}
    assert expected.items() <= velvet.items()
    assert (
        "  policy: cased  # ordinary words; stands in 100.0% of others' texts; 4 of 4 claim it, with context 0\n"
        in (Path("names.yaml").read_text())
    )


ODD_COLUMN = [
    "",
    "\U0001f525",
    "\u0646\u0627\u064a\u0643\u064a",
    "\u202eGucci",
    "H&amp;M",
    "<b>Zara</b>",
    "x" * 10_000,
    "Nul\x00l",
    "N.A.",
]


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_odd_names_are_shown_in_one_line_each(tmp_path: Path, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{"brand": name, "title": f"{name} [red]shoe[/red]"} for name in ODD_COLUMN]
    Path("odd.jsonl").write_text("\n".join(map(json.dumps, [*rows, {"brand": None, "title": "x"}])))
    code, out, err = nameplate("names", "odd.jsonl", "--column", "brand", width=columns)
    assert code == 0, err
    assert not {"\x00", "\u202e", "\u202c"}.intersection(out)
    assert "10 rows, 4 of them without a name, 1 malformed" in " ".join(out.split())
    assert all(len(line) <= columns for line in out.splitlines()[:-1])
    assert read_overrides(Path("names.yaml"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.csv"], "missing.csv"),
        (["catalogue.csv", "--column", "brnad"], "no column 'brnad'"),
        (["catalogue.csv", "--captions", "missing.jsonl"], "missing.jsonl"),
        (["catalogue.csv", "--captions", "catalogue.csv", "--column", "title"], "no column of captions"),
        (["plain.csv"], "no column looks like names"),
        (["empty.csv", "--column", "brand"], "holds no name in any of 2 rows"),
        (["missing.yaml"], "missing.yaml"),
        (["nameless.yaml"], "name.column is null"),
    ],
)
def test_what_is_wrong_is_said_in_one_paragraph(shop: Path, words: list[str], message: str) -> None:
    Path("plain.csv").write_text("size,price\n1,2\n2,3\n")
    Path("empty.csv").write_text("brand,title\nN.A.,x\n,y\n")
    Path("nameless.yaml").write_text("table: {source: catalogue.csv, image: imageurl}\nname: {column: null}\n")
    if "--captions" in words and "catalogue.csv" in words[2:]:
        Path("catalogue.csv").write_text("title,imageurl\nx,y\n")
    code, out, err = nameplate("names", *words)
    assert code == 2 and out == "" and message in err and len(err.splitlines()) == 1
    assert not Path("names.yaml").exists()
