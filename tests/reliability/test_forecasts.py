"""The forecast against what a cycle then does: every person of random tenants as foretold, or told that it cannot be told."""

from __future__ import annotations

from collections import Counter

from runbook_lib.tenant.forecast.values import Fate, Forecast, HarmKind
from tests.reliability.worlds import Happened, RandomTenant, is_as_foretold

HARMS = {  # what happened -> the kinds of harm under one of which the person has to be named
    "block": {HarmKind.BLOCK, HarmKind.SOMEONE_ELSES_USER},
    "unblock": {HarmKind.UNBLOCK, HarmKind.SOMEONE_ELSES_USER},
    "delete": {HarmKind.DELETE},
    "someone else's user": {HarmKind.SOMEONE_ELSES_USER},
}


def is_unnamed_harm(forecast: Forecast, object_id: str, happened: Happened) -> bool:
    """Whether a person came to harm without being named in the forecast under a fitting kind or as one who cannot be told."""
    kinds = HARMS.get(happened.what)
    if kinds is None or forecast.hidden_groups:
        return False
    found = {kind for kind, people in forecast.caused().items() for one in people if one.object_id == object_id}
    untold = {user for one in forecast.people if Fate.CANNOT_TELL in one.fates for user in one.auth0_users}
    return not found & (kinds | {HarmKind.CANNOT_TELL}) and happened.target not in untold


def lost_values(tenant: RandomTenant, forecast: Forecast) -> list[str]:
    """Return whose own metadata a cycle wrote over although neither they nor their Auth0 user stands in the forecast for it."""
    named = {
        user
        for kind in (HarmKind.OVERWRITE, HarmKind.SOMEONE_ELSES_USER, HarmKind.CANNOT_TELL)
        for one in forecast.caused().get(kind, ())
        for user in one.auth0_users
    }
    return [
        user_id
        for user_id, before in tenant.before.items()
        if user_id not in named and user_id in tenant.users and _lost(before, tenant.users[user_id])
    ]


def _lost(before: dict, after: dict) -> bool:
    """Whether values of the application's are others now; what an earlier cycle wrote is not the application's."""
    own, now = before.get("app_metadata", {}), after.get("app_metadata", {})
    was_linked = str(own.get("external_id", "")).count("-") == 4
    return not was_linked and any(own.get(name) != now.get(name) for name in ("title", "department") if name in own)


def test_every_person_of_random_tenants_is_foretold(tmp_path, figure, trials):
    count = trials(60, 2000)
    people, certain, wrong, unnamed, lost = 0, 0, [], [], []
    fates: Counter[str] = Counter()
    for seed in range(count):
        folder = tmp_path / str(seed)
        folder.mkdir()
        tenant = RandomTenant(folder, seed)
        forecast = tenant.forecast()
        told = {one.object_id: one for one in forecast.people}
        happened = tenant.cycle()
        for object_id in {*told, *happened}:
            one, done = told.get(object_id), happened.get(object_id)
            wrong += [(seed, object_id)] * (not is_as_foretold(one, done, forecast))
            unnamed += [(seed, object_id)] * (done is not None and is_unnamed_harm(forecast, object_id, done))
        lost += [(seed, user) for user in lost_values(tenant, forecast)]
        people += len(told)
        certain += sum(len(one.fates) == 1 for one in told.values())
        fates.update(one.fate.value for one in told.values())
    figure("forecasts: random tenants, people in them", f"{count}, {people}")
    figure("forecasts: people of whom neither the fate nor that it cannot be told was right", len(wrong))
    figure("forecasts: people told cannot tell", fates[Fate.CANNOT_TELL.value])
    figure("forecasts: people of whom every reading tells one fate", certain)
    figure("forecasts: people harmed by a cycle and not named", len(unnamed) + len(lost))
    assert (wrong, unnamed, lost) == ([], [], [])
    assert set(fates) == {fate.value for fate in Fate}
    assert fates[Fate.CANNOT_TELL.value] < people / 10
