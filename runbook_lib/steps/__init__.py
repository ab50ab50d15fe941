"""The documented steps, in the document's order."""

from runbook_lib.settings import TenantSettings
from runbook_lib.steps import for_auth0_administrator, for_entra_administrator
from runbook_lib.steps import section_0_before_you_start as section_0
from runbook_lib.steps import section_1_auth0_settings as section_1
from runbook_lib.steps import section_2_endpoint_and_token as section_2
from runbook_lib.steps import section_3_entra_provisioning as section_3
from runbook_lib.steps import section_4_testing as section_4
from runbook_lib.steps.kinds import Kind, Step

STEPS: tuple[Step, ...] = (
    section_0.connection_type,
    section_0.sign_ins,
    section_1.find_connection,
    section_1.pairwise_subject,
    section_1.sync_and_scim_on,
    section_1.user_id_from_external_id,
    section_1.review_mapping,
    section_2.copy_endpoint_url,
    section_2.generate_token,
    section_2.token_scopes,
    section_3.oidc_application,
    section_3.enterprise_application,
    section_3.assign_users_and_groups,
    section_3.synchronization_job,
    section_3.enter_tenant_url,
    section_3.save_credentials,
    section_3.deselect_create,
    section_3.find_external_id,
    section_3.external_id_from_object_id,
    section_3.find_work_email,
    section_3.match_by_work_email,
    section_3.save_mappings,
    section_3.back_to_provisioning,
    section_4.ready_for_testing,
    section_4.provision_on_demand,
    section_4.turn_provisioning_on,
)

_IN_PLACE = {
    "auth0": {step.number: step for step in for_auth0_administrator.STEPS},
    "entra": {step.number: step for step in for_entra_administrator.STEPS},
}


def steps_for(settings: TenantSettings) -> tuple[Step, ...]:
    """Return all steps, those of a side that is handed over as they are done without a sign-in there."""
    side = settings.handed_over
    steps = tuple(_IN_PLACE[side].get(step.number, step) for step in STEPS) if side else STEPS
    if side == "auth0" and not (settings.scim_endpoint and settings.scim_token):
        return tuple(for_auth0_administrator.waiting(step) if step.number[0] in "34" else step for step in steps)
    return steps


__all__ = ["STEPS", "Kind", "Step", "steps_for"]
