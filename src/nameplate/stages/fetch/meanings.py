"""What each way to fail means to a person, and what can be done about it."""

from __future__ import annotations

from typing import Final, NamedTuple

from nameplate.records import FetchStatus


class Meaning(NamedTuple):
    """One status in plain words."""

    what: str
    remedy: str
    """Empty: nothing that we know of."""


_LATER: Final = "run `nameplate fetch RECIPE --again` later"
_ASK: Final = "ask the host's owner; then name it in fetch.permitted_hosts"

MEANINGS: Final[dict[FetchStatus, Meaning]] = {
    FetchStatus.MISSING_URL: Meaning("the row has no link", "check table.image"),
    FetchStatus.BAD_URL: Meaning("not a link", "check table.image and the table"),
    FetchStatus.SCHEME_BLOCKED: Meaning("neither http nor https", "files are read with table.image_root"),
    FetchStatus.ADDRESS_BLOCKED: Meaning(
        "the address is not public, or the port is unusual", "trusted? fetch.allow_networks"
    ),
    FetchStatus.DNS_ERROR: Meaning("no such host, or no name server", f"check your line; {_LATER}"),
    FetchStatus.CONNECT_ERROR: Meaning("the host refused or broke the connection", _LATER),
    FetchStatus.TLS_ERROR: Meaning("the host's certificate is not valid", _LATER),
    FetchStatus.TIMEOUT: Meaning("the host was too slow", f"raise fetch.clocks, or {_LATER}"),
    FetchStatus.HTTP_404: Meaning("the image is gone", "get a newer table"),
    FetchStatus.HTTP_410: Meaning("the image is gone for good", "get a newer table"),
    FetchStatus.HTTP_403: Meaning("the host refuses us", f"{_ASK}, or try fetch.referer"),
    FetchStatus.HTTP_429: Meaning("the host wants fewer requests", f"raise nothing; {_LATER}"),
    FetchStatus.HTTP_4XX: Meaning("the host refuses the request", ""),
    FetchStatus.HTTP_5XX: Meaning("the host is in trouble", _LATER),
    FetchStatus.REDIRECT_LOOP: Meaning("redirected too often", ""),
    FetchStatus.OPTED_OUT: Meaning("X-Robots-Tag: not for machines", _ASK),
    FetchStatus.ROBOTS_DISALLOWED: Meaning("robots.txt: not for machines", _ASK),
    FetchStatus.TOO_MANY_BYTES: Meaning("the file is too large", "raise fetch.max_bytes"),
    FetchStatus.TRUNCATED: Meaning("the file ends too early", _LATER),
    FetchStatus.NOT_AN_IMAGE: Meaning("a page or other file in the place of an image", "get a newer table"),
    FetchStatus.DECODE_ERROR: Meaning(
        "a damaged image, or HEIC without its reader", "HEIC: pip install 'nameplate[heic]'"
    ),
    FetchStatus.TOO_MANY_PIXELS: Meaning("the image is too large", "raise fetch.image.max_pixels"),
    FetchStatus.TOO_SMALL: Meaning("the image is too small", "lower fetch.image.min_side"),
    FetchStatus.BAD_ASPECT: Meaning("a long, thin strip", "raise fetch.image.max_aspect"),
    FetchStatus.BLANK: Meaning("one colour, nothing to see", ""),
    FetchStatus.PLACEHOLDER: Meaning(
        "one image under many products: the shop's 'no image'", "raise fetch.placeholder_min_products if it is not"
    ),
}
"""Every status but `ok`."""
