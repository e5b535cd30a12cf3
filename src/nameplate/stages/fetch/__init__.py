"""From image links to checked images: every link ends with one typed status."""

from nameplate.stages.fetch.again import AskedAgain, ask_again, merge_back
from nameplate.stages.fetch.check import LinkCheck, Verdict
from nameplate.stages.fetch.sample import check_links, impatient
from nameplate.stages.fetch.stage import VERSION, FetchStage

__all__ = [
    "VERSION",
    "AskedAgain",
    "FetchStage",
    "LinkCheck",
    "Verdict",
    "ask_again",
    "check_links",
    "impatient",
    "merge_back",
]
