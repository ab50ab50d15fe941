"""Values as people paste them, and as spreadsheets change them: read where one meaning is possible, else named with a hint.

Nothing here decides where a secret is sent: a domain is only ever proposed, and the settings model judges what is typed.
"""

from __future__ import annotations

import re

from runbook_lib.settings.code_pages import misread

_EDGES = " \t\r\n\u00a0\u2007\u202f\u200b\u200c\u200d\u2060\ufeff"
_QUOTES = ('""', "\u201c\u201d", "\u201e\u201c", "\u00ab\u00bb", "''", "\u2018\u2019")
_QUOTED = r"([\"']).+\1"
_GUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_DASHES = "[\u2010-\u2015\u2212\ufe63\uff0d]"  # what word processors and mails make of a hyphen
_ADDRESS = re.compile(r"(?:[^<>]*<)?(?:mailto:)?([^\s<>;,]+@[^\s<>;,]+?)>?[;,.]?", re.IGNORECASE)
_ERROR = re.compile(r"#[\w\u00a1/]{1,15}[!?]|#N/?[ADV]|#+")  # #REF! is #BEZUG! in German, #¡VALOR! in Spanish, #N/A #NV or #N/D
_SCIENTIFIC = re.compile(r"[+-]?\d+(?:[.,]\d+)?E[+-]\d+", re.IGNORECASE)
_DATE = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}(?:[ T]\d{1,2}:\d{2}.*)?")
# TRUE and FALSE as spreadsheets write them in other languages, and yes and no as people do; Turkish capitals lose their letter.
_YES = frozenset(
    "yes true 1 y on x wahr ja vrai oui verdadero sí si vero verdadeiro sim prawda tak waar sant sann sand tosi kyllä pravda ano "
    "áno igaz igen adevărat da doğru evet истина да".split()
)
_NO = frozenset(
    "no false 0 n off falsch nein faux non falso não nao fałsz nie onwaar nee falskt nej falsk usann nei epätosi ei nepravda ne "
    "hamis nem fals nu yanlış yanliş hayır hayir ложь нет".split()
)
_GUIDS = ("entra_client_id", "entra_tenant", "oidc_client_id", "test_user")
_CLOUDS = {
    "azurecloud": "public", "azure": "public", "azurepublic": "public", "global": "public", "commercial": "public",
    "azureusgovernment": "usgov", "usgovernment": "usgov", "usgov": "usgov", "azuregov": "usgov", "gov": "usgov",
    "gcchigh": "usgov", "government": "usgov",
    "azurechinacloud": "china", "azurechina": "china", "21vianet": "china",
}  # fmt: skip
_PORTALS = (".microsoft.com", ".azure.com", ".azure.us", ".azure.cn", ".microsoftonline.com", ".windows.net", ".office.com")
SECRET_REFERENCES = ("auth0_client_secret", "entra_client_secret", "scim_token")
_REGIONS = ("eu", "au", "jp", "uk", "ca", "us")
_DASHBOARD = re.compile(r"https?://manage\.auth0\.com/dashboard/([a-z]{2})/([a-z0-9-]+)(?:/|$)", re.IGNORECASE)
# The tenant in an address of Microsoft's: its first domain anywhere, or any behind the sign-in's host or the portal's #@.
_TENANT_ADDRESS = re.compile(
    r"([a-z0-9-]+\.(?:onmicrosoft\.(?:com|us|de)|partner\.onmschina\.cn))\b"
    r"|https?://(?:login\.microsoftonline\.(?:com|us)/|login\.partner\.microsoftonline\.cn/|portal\.azure\.\w+/#@)([a-z0-9.-]+\.[a-z]{2,})",
    re.IGNORECASE,
)
_DOMAIN = re.compile(r"(?:https?://)?([a-z0-9.-]+?)\.?(?:/[^@\\]*)?", re.IGNORECASE | re.ASCII)
_VARIABLE = re.compile(r"(?:env:)?(?:\$\{?(?:env:)?([A-Za-z_][A-Za-z0-9_]*)\}?|%([A-Za-z_][A-Za-z0-9_]*)%)")


def as_meant(column: str, value: str) -> str:
    """Return a cell's value without what pasting and spreadsheets put around it, as it can only be meant."""
    text = _bare(value)
    if column == "test_user" and (address := _ADDRESS.fullmatch(text)):
        return address[1]
    if column == "auth0_connection" and (connection := _connection_of(text)):
        return connection
    if column in SECRET_REFERENCES and (spaced := re.fullmatch(r"(env|file|keyring)\s*:\s*(\S.*)", text, re.IGNORECASE)):
        place = spaced[2]
        return f"{spaced[1].lower()}:{place[1:-1] if re.fullmatch(_QUOTED, place) else place}"
    if column in _GUIDS and (whole := re.fullmatch(rf"\{{?({_GUID})\}}?", re.sub(_DASHES, "-", text))):
        return whole[1]
    if column == "token_lifetime_days" and (whole := re.fullmatch(r"(\d+)[.,]0{1,2}", text)):
        return whole[1]
    if column == "turn_on" and text.lower() in _YES | _NO:
        return "yes" if text.lower() in _YES else "no"
    if column == "cloud" and not text.startswith("sandbox:"):
        return text.lower()
    return text


def _bare(value: str) -> str:
    text = value.strip(_EDGES)
    if formula := re.fullmatch(r'="(.*)"', text):  # what keeps a spreadsheet from changing a number
        text = formula[1].strip(_EDGES)
    for pair in _QUOTES:
        if len(text) > 1 and text[0] == pair[0] and text[-1] == pair[1]:
            return text[1:-1].strip(_EDGES)
    return text[1:].strip(_EDGES) if text.startswith("'") else text  # a spreadsheet's mark for "this is text"


def damage(column: str, value: str) -> str:
    """Return what a spreadsheet has done to a value, in words that follow the column's name; empty when it has not."""
    if _ERROR.fullmatch(value.upper()):
        return "is a spreadsheet's error; correct the formula there"
    if value.startswith("="):
        return "is a formula; save the file with values"
    if "\ufffd" in value:
        return "holds \ufffd where another program has lost a letter; type the value again"
    if before := misread(value):
        return f"holds letters that another program misread; type the value again, perhaps {before}"
    if _SCIENTIFIC.fullmatch(value):
        return "was turned into a number by the spreadsheet; format the column as text and type the value again"
    if column == "token_lifetime_days" and _DATE.fullmatch(value):
        return "was turned into a date by the spreadsheet; format the column as text and type the number of days again"
    return ""


def suggestion(column: str, value: object) -> str:
    """Return what may have been meant by a value that is not taken, empty when there is no good guess."""
    if not isinstance(value, str):
        return ""
    meant = as_meant(column, value)
    guess = _SUGGESTED.get(column, _same)(meant)
    return guess if guess != value else ""


def _same(text: str) -> str:
    return text


def _auth0_domain(text: str) -> str:
    if found := _DASHBOARD.match(text):
        region, tenant = found[1].lower(), found[2].lower()
        return f"{tenant}.{region}.auth0.com" if region in _REGIONS else ""
    found = _DOMAIN.fullmatch(text)
    return found[1].lower() if found and found[1].lower().endswith((".auth0.com", ".auth0app.com")) else ""


def _connection_of(text: str) -> str:
    """Return the connection's id of a dashboard page's address, empty for any other text."""
    found = re.match(r"https?://manage\.auth0\.com/\S*/(con_[A-Za-z0-9]+)(?:[/?#]|$)", text)
    return found[1] if found else ""


def _entra_tenant(text: str) -> str:
    if re.fullmatch(r"[0-9a-fA-F]{32}", text):
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:])).lower()
    if found := re.search(_GUID, text):
        return found[0].lower()
    if address := _TENANT_ADDRESS.search(text):
        return (address[1] or address[2]).lower()
    if "@" in text:
        return text.rpartition("@")[2].lower()
    found = _DOMAIN.fullmatch(text)
    host = found[1].lower() if found else ""
    return host if "." in host and not host.endswith(_PORTALS) else ""


def _guid(text: str) -> str:
    found = re.search(_GUID, text)
    return found[0].lower() if found else ""


def _cloud(text: str) -> str:
    return _CLOUDS.get(re.sub(r"[^a-z0-9]", "", text.lower()), "")


def _reference(text: str) -> str:
    found = _VARIABLE.fullmatch(text)
    return f"env:{found[1] or found[2]}" if found else ""


_SUGGESTED = {
    "auth0_domain": _auth0_domain,
    "auth0_client_secret": _reference,
    "entra_tenant": _entra_tenant,
    "entra_client_id": _guid,
    "entra_client_secret": _reference,
    "oidc_client_id": _guid,
    "test_user": _guid,
    "cloud": _cloud,
}
