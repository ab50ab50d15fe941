"""The mapping of step 1.5 edited by clicking: judged while typing, written only by plan and Apply, and what outlives what."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.test_procedure import restart_kernel, writes

MANAGER = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User.manager"


def mapping_of(control):
    """The mapping that Auth0 holds for the demo tenant `fresh`."""
    auth0 = control("GET", "/state")["auth0"]
    connection = next(entry for entry in auth0["connections"].values() if entry["name"] == "fresh-azure-ad")
    rows = auth0["scim_configurations"][connection["id"]]["mapping"]
    return {row["scim"]: row["auth0"] for row in rows}


def open_editor(guide):
    card = guide.card("1.5")
    card.get_by_text("Edit the mapping").click()
    return card


def field(card, side, row):
    return card.get_by_label(f"{side} attribute, row {row}", exact=True)


def test_rows_are_judged_while_typing_and_written_by_plan_and_apply_only(guide, control):
    expect(guide.card("1.5")).to_contain_text("step 1.3")  # while SCIM is off there is nothing to edit
    expect(guide.card("1.5").get_by_text("Edit the mapping")).to_have_count(0)
    guide.apply("1.3")
    before, sent = mapping_of(control), len(writes(control))
    card = open_editor(guide)
    rows = card.locator("#scim-map tbody tr")
    expect(rows).to_have_count(30)
    expect(rows.nth(0)).to_contain_text("Login writes it too")
    expect(rows.nth(29)).to_contain_text("Entra fails on later syncs")
    plan, state = card.get_by_role("button", name="Plan these rows"), card.locator("#scim-map-state")
    expect(plan).to_be_disabled()

    scim = field(card, "SCIM", 1)
    auth0 = card.locator(f'input[name="{field(card, "Auth0", 8).get_attribute("name")}"]')  # its row's number changes below
    own = rows.filter(has=guide.page.locator(f'[name="{auth0.get_attribute("name")}"]'))
    for text, words in (("username", "did you mean userName"), ("", "is empty"), ("title", "stands in two rows")):
        scim.fill(text)
        expect(scim).to_have_attribute("aria-invalid", "true")
        expect(rows.nth(0)).to_contain_text(words)
        expect(plan).to_be_disabled()
    scim.fill("userName")
    expect(scim).not_to_have_attribute("aria-invalid", "true")
    auth0.fill("app metadata")
    expect(own).to_contain_text("is neither an attribute of the profile")
    auth0.fill("app_metadata.nick")
    expect(own).to_contain_text("changed, was nickname")
    expect(card.locator("#scim-map-losses")).to_contain_text("nickname: Entra no longer updates it")
    card.get_by_role("button", name="Remove row 4: active").click()
    expect(state).to_contain_text("people who leave keep their access")
    card.get_by_role("button", name="Add the row active").click()
    expect(state).to_contain_text("Not planned yet")
    card.get_by_role("button", name=f"Remove row 29: {MANAGER}").click()
    expect(rows.nth(29)).to_contain_text("missing, is in the default")
    card.get_by_role("button", name="Add a row").click()
    new = field(card, "SCIM", 30)
    expect(new).to_be_focused()
    new.fill("name.middleName")
    field(card, "Auth0", 30).fill("app_metadata.middle_name")
    expect(rows.nth(29)).to_contain_text("extra")
    assert (mapping_of(control), len(writes(control))) == (before, sent)

    plan.click()
    changes = card.get_by_role("group", name="What will change")
    for words in ("app_metadata.nick", "name.middleName", MANAGER):
        expect(changes).to_contain_text(words)
    expect(state).to_contain_text("Planned")
    assert (mapping_of(control), len(writes(control))) == (before, sent)

    auth0.fill("app_metadata.other_nick")  # what is typed now is not what would be written
    expect(card.get_by_role("button", name="Apply 1.5")).to_have_count(0)
    auth0.fill("app_metadata.nick")
    guide.apply("1.5")
    wanted = {**before, "nickName": "app_metadata.nick", "name.middleName": "app_metadata.middle_name"}
    del wanted[MANAGER]
    assert mapping_of(control) == wanted
    expect(state).to_contain_text("As Auth0 has it")

    card.get_by_role("button", name="Back to default").click()
    plan.click()
    guide.apply("1.5")
    assert mapping_of(control) == before


def test_undo_takes_back_what_is_typed_and_what_is_planned(guide, control):
    guide.apply("1.3")
    card = open_editor(guide)
    field(card, "Auth0", 1).fill("app_metadata.nickname2")
    card.get_by_role("button", name="Undo my edits").click()
    expect(field(card, "Auth0", 1)).to_have_value("upn")
    field(card, "Auth0", 1).fill("app_metadata.nickname2")
    card.get_by_role("button", name="Plan these rows").click()
    expect(guide.state("1.5")).to_contain_text("To do")
    card.get_by_role("button", name="Undo my edits").click()
    expect(guide.state("1.5")).to_contain_text("Checked")
    expect(field(card, "Auth0", 1)).to_have_value("upn")


def test_typed_rows_outlive_a_reload_and_planned_ones_a_kernel_restart(guide, control):
    guide.apply("1.3")
    card = open_editor(guide)
    field(card, "Auth0", 15).fill("app_metadata.province")
    expect(card).to_contain_text("changed, was app_metadata.state")
    guide.save()
    guide.page.reload()
    open_editor(guide)
    expect(field(card, "Auth0", 15)).to_have_value("app_metadata.province")
    expect(card.locator("#scim-map-state")).to_contain_text("Not planned yet")
    card.get_by_role("button", name="Plan these rows").click()
    expect(guide.state("1.5")).to_contain_text("To do")

    restart_kernel(guide)
    expect(guide.state("1.5")).to_contain_text("To do")
    expect(guide.card("1.5").get_by_role("group", name="What will change")).to_contain_text("app_metadata.province")
    open_editor(guide)
    expect(field(card, "Auth0", 15)).to_have_value("app_metadata.province")
    assert mapping_of(control)['addresses[type eq "work"].region'] == "app_metadata.state"
