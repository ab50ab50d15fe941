"""Small situations: people in Entra, users in Auth0, and what the cycle does to them."""

from __future__ import annotations

import uuid

from runbook_lib.tenant.forecast.forecasting import forecast
from runbook_lib.tenant.forecast.job_mapping import default_mapping
from runbook_lib.tenant.forecast.people import Auth0Profile, EntraPerson, Links, Situation, State
from runbook_lib.tenant.forecast.source_attributes import attributes_of_user

SCIM_FIELDS = {
    "userName": "upn",
    'emails[type eq "work"].value': "email",
    "externalId": "app_metadata.external_id",
    "active": "blocked",
    "displayName": "name",
    "name.givenName": "given_name",
    "name.familyName": "family_name",
    "title": "app_metadata.title",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User.department": "app_metadata.department",
}


def object_id(name):
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def person(name, state=State.ENABLED, *, assigned=True, groups=(), manager="", **properties):
    """A person who is assigned; `manager` is a name, properties are Graph's."""
    local = name.lower()
    user = {
        "id": object_id(name),
        "displayName": name,
        "userPrincipalName": f"{local}@contoso.onmicrosoft.com",
        "mail": f"{local}@contoso.com",
        "mailNickname": local,
        "accountEnabled": state is State.ENABLED,
        **properties,
    }
    names = default_mapping().attributes | {"mailNickname", "companyName", "employeeType", "accountEnabled"}
    gone = state is State.GONE
    attributes = {} if gone else attributes_of_user(user, names)
    upn = "" if gone else user["userPrincipalName"]
    shown, mail, boss = "" if gone else name, None if gone else user["mail"], object_id(manager) if manager else manager
    return EntraPerson(user["id"], shown, upn, mail, state, assigned, groups, attributes, manager=boss)


def user(name, *, of="", blocked=False, number=1, **values):
    """An Auth0 user that the person's sign-in made: with mail address, `upn` and `oid`; `of` is whose object id it carries."""
    local = name.lower()
    found = {"email": f"{local}@contoso.com", "upn": f"{local}@contoso.onmicrosoft.com", "name": name, **values}
    kept = {key.replace("__", "."): value for key, value in found.items() if value is not None}
    oid = object_id(name) if of == "" else of and object_id(of)
    return Auth0Profile(f"waad|{name}{number}", blocked, (oid,) if oid else (), kept)


def linked(name, **values):
    """An Auth0 user to which an earlier cycle wrote the object id."""
    return user(name, **{"app_metadata__external_id": object_id(name), **values})


def situation(people, users, **changes):
    return Situation(tuple(people), tuple(users), **{"mapping": default_mapping(), "scim_fields": SCIM_FIELDS, **changes})


def foretold(people, users, **changes):
    """The forecasts by person."""
    found = forecast(situation(people, users, **changes))
    return {one.person: one for one in found.people}


def fates(people, users, **changes):
    """Each person's fates, the strictest first, by name."""
    return {name: one.fates for name, one in foretold(people, users, **changes).items()}


SEEN = {"links": Links.SEEN}
UNSEEN = {"links": Links.UNSEEN}
