"""Where the services of each cloud are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from runbook_lib.core.display import show_as
from runbook_lib.core.json_text import parsed
from runbook_lib.core.secret import scrubber

_ORIGIN = re.compile(r"https://(?:localhost|127\.0\.0\.1):[0-9]{1,5}", re.ASCII)


@dataclass(frozen=True)
class Cloud:
    """Where the Microsoft services are. `resource` is what a Graph token is asked for; `template_id` the non-gallery template."""

    name: str
    authority: str
    graph: str
    template_id: str
    portal: str
    ca_bundle: str | None = None
    auth0_domain: str | None = None

    @property
    def is_sandbox(self) -> bool:
        """Whether this is the built-in simulation."""
        return self.ca_bundle is not None

    @property
    def resource(self) -> str:
        """The origin of Graph."""
        parts = urlsplit(self.graph)
        return f"{parts.scheme}://{parts.netloc}"


SANDBOX_WORD = "sandbox"  # stands for the addresses of a sandbox wherever a person reads
_READY_FILE_LIMIT = 65_536
_GLOBAL_TEMPLATE = "8adf8e6e-67b2-4cf2-a259-e3dc5476c621"

# Hosts: Graph "national cloud deployments" page; template ids: Graph applicationtemplate-instantiate page.
CLOUDS: Mapping[str, Cloud] = {
    "public": Cloud(
        "public",
        "https://login.microsoftonline.com",
        "https://graph.microsoft.com/v1.0",
        _GLOBAL_TEMPLATE,
        "https://entra.microsoft.com",
    ),
    "usgov": Cloud(
        "usgov",
        "https://login.microsoftonline.us",
        "https://graph.microsoft.us/v1.0",
        "4602d0b4-76bb-404b-bca9-2652e1a39c6d",
        "https://entra.microsoft.us",
    ),
    "china": Cloud(
        "china",
        "https://login.partner.microsoftonline.cn",
        "https://microsoftgraph.chinacloudapi.cn/v1.0",
        "5a532e38-1581-4918-9658-008dc27c1d68",
        "https://entra.microsoftonline.cn",
    ),
}


def checked_cloud(value: str) -> str:
    """Return the name of a cloud. Raises `ValueError` for an unknown one."""
    if value not in CLOUDS and not value.startswith("sandbox:"):
        raise ValueError(f"is not one of {', '.join(CLOUDS)} or sandbox:READY_FILE")
    return value


def is_sandbox_domain(auth0_domain: str) -> bool:
    """Whether an Auth0 domain is a sandbox's: every real one ends in `auth0.com` or `auth0app.com`."""
    return bool(_ORIGIN.fullmatch(f"https://{auth0_domain}"))


def _bounded_text(path: Path) -> str:
    """Return the text of a small regular file. Raises `OSError` or `ValueError`: a device would be read without end."""
    if not path.is_file():
        raise FileNotFoundError(path)
    with path.open("rb") as opened:
        return opened.read(_READY_FILE_LIMIT).decode("utf-8")


def sandbox_cloud(ready_file: Path) -> Cloud:
    """Return the cloud that a sandbox's ready file describes. Only loopback https addresses are taken."""
    try:
        ready = parsed(_bounded_text(ready_file))
        authority, graph, domain, ca_bundle = (str(ready[key]) for key in ("authority", "graph", "auth0_domain", "ca_bundle"))
        scrubber.register(str(ready.get("control_token", "")))
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(
            "cloud: names a ready file that does not exist or does not belong to a sandbox; start a sandbox with: python "
            "-m runbook_lib sandbox"
        ) from None
    if not all(map(_ORIGIN.fullmatch, (authority, graph.removesuffix("/v1.0"), f"https://{domain}"))):
        raise ValueError("cloud: the ready file names an address outside this machine")
    for address in (domain, *(urlsplit(url).netloc for url in (authority, graph))):
        show_as(address, SANDBOX_WORD)
    return Cloud("sandbox", authority, graph, _GLOBAL_TEMPLATE, CLOUDS["public"].portal, ca_bundle, domain)
