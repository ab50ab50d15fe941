"""The demo tenant `people`: each fate that a start can have for a person, once. The README tells them person by person.

A job ran here for a while and was paused; meanwhile people came, left, moved, and gave their addresses on.
"""

from __future__ import annotations

from runbook_lib.sandbox.demo_customers import Customer, login, ready_to_start
from runbook_lib.sandbox.graph.people import delete_softly
from runbook_lib.sandbox.graph.schema_template import USER_TARGET, attribute
from runbook_lib.sandbox.world import Document

LINKED = ("Adele Vance", "Christie Cline", "Grady Archie", "Henrietta Mueller", "Isaiah Langer", "Johanna Lorenz")
PAGES = ("https://sales.people.example", "https://office.people.example")
ADDRESS_GIVEN_ON = "front.desk@people.example"


def every_fate(customer: Customer) -> None:
    """Let the customer's people have every fate once."""
    provisioning, job = ready_to_start(customer)
    _match_by_page(provisioning.schemas[job["id"]])
    people = {user["displayName"]: user for user in customer.entra.users.values()}
    profiles = _profiles(customer)
    profiles["Lynne Robbins"] = login(customer, people["Lynne Robbins"], with_upn=False)
    links = provisioning.links.setdefault(job["id"], {})
    for name in LINKED:
        _provision(profiles[name], people[name])
        links[people[name]["id"]] = profiles[name]["user_id"]
    _those_who_stay(customer, people, profiles)
    _those_who_left(customer, people, profiles)


def _profiles(customer: Customer) -> dict[str, Document]:
    """Return the Auth0 users of the connection by name."""
    connection = customer.connection["name"]
    users = customer.world.auth0.users.values()
    return {user["name"]: user for user in users if user["identities"][0]["connection"] == connection}


def _provision(profile: Document, user: Document) -> None:
    """Give an Auth0 user what an earlier cycle sent of a person."""
    profile["upn"] = user["userPrincipalName"]
    profile["app_metadata"] = {
        "external_id": user["id"],
        "title": user["jobTitle"],
        "language": user["preferredLanguage"],
        "city": user["city"],
        "country": user["country"],
        "work_phone_number": user["businessPhones"][0],
        "department": user["department"],
        "profile_url": f"{PAGES[user['department'] != 'Sales']}/{user['mailNickname']}",
    }


def _match_by_page(schema: Document) -> None:
    """Add a row that matches by the address of a person's page: it needs the department, and cannot be made without one."""
    constants: dict[str, Document] = {
        text: {"expression": f'"{text}"', "name": text, "type": "Constant", "parameters": []} for text in ("/", "Sales", *PAGES)
    }

    def function(name: str, expression: str, *parameters: tuple[str, Document]) -> Document:
        listed = [{"key": key, "value": value} for key, value in parameters]
        return {"expression": expression, "name": name, "type": "Function", "parameters": listed}

    def page(place: str) -> Document:
        parts = (("separator", constants["/"]), ("source", constants[place]), ("source", attribute("mailNickname")))
        return function("Join", f'Join("/", "{place}", [mailNickname])', *parts)

    condition = function("=", '[department] = "Sales"', ("left", attribute("department")), ("right", constants["Sales"]))
    values = (("condition", condition), ("valueIfTrue", page(PAGES[0])), ("valueIfFalse", page(PAGES[1])))
    text = ", ".join(value["expression"] for _, value in values)
    rows = schema["synchronizationRules"][0]["objectMappings"][1]["attributeMappings"]
    source = function("IIF", f"IIF({text})", *values)
    rows.append({**rows[0], "targetAttributeName": "profileUrl", "matchingPriority": 3, "source": source})
    users = next(kind for kind in schema["directories"][1]["objects"] if kind["name"] == USER_TARGET)
    title = next(one for one in users["attributes"] if one["name"] == "title")
    users["attributes"].append({**title, "name": "profileUrl"})


def _those_who_stay(customer: Customer, people: dict[str, Document], profiles: dict[str, Document]) -> None:
    """Adele has changed, Diego never signed in, Isaiah is blocked by hand, Lidia signed in twice, Joni is new.

    Alex has a manager, Christie, who is linked.
    Joni has the address that Lee had, and Auth0 still holds it in Lee's user. Miriam moved: another address,
    no department yet.
    """
    users = customer.world.auth0.users
    profiles["Adele Vance"]["app_metadata"]["title"] = "Trainee"
    profiles["Isaiah Langer"]["blocked"] = True
    customer.entra.managers[people["Alex Wilber"]["id"]] = people["Christie Cline"]["id"]
    for name in ("Diego Siciliani", "Joni Sherman"):
        users.pop(profiles[name]["user_id"])
    profiles["Lidia Holloway"].pop("upn", None)
    login(customer, people["Lidia Holloway"], with_upn=False)
    people["Joni Sherman"]["mail"] = profiles["Lee Gu"]["email"] = ADDRESS_GIVEN_ON
    profiles["Lee Gu"].pop("upn", None)
    people["Miriam Graham"] |= {"department": None, "mail": "miriam.hall@people.example"}
    profiles["Miriam Graham"].pop("upn", None)


def _those_who_left(customer: Customer, people: dict[str, Document], profiles: dict[str, Document]) -> None:
    """Grady is disabled, Henrietta unassigned, Johanna and Lee are deleted for good, Megan softly; Lynne was disabled before.

    The first three were linked, the others never: their Auth0 users stay as they are.
    """
    entra, users = customer.entra, customer.world.auth0.users
    for name in ("Grady Archie", "Lynne Robbins"):
        people[name]["accountEnabled"] = False
    for name in ("Henrietta Mueller", "Johanna Lorenz", "Lee Gu"):
        gone = people[name]["id"]
        entra.assignments = [one for one in entra.assignments if one["principalId"] != gone]
        if name != "Henrietta Mueller":
            del entra.users[gone]
    delete_softly(customer.world, entra, people["Megan Bowen"]["id"])
    for profile in profiles.values():
        if profile["user_id"] in users:
            users[profile["user_id"]] = profile
