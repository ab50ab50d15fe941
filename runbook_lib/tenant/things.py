"""What the steps of Auth0's and Entra's documents are about. Documents name a step by its number, the code by its thing.

Those that a journal knows as the kind of a write have the word of the journal.
"""

from __future__ import annotations

from enum import StrEnum

from runbook_lib.core.step_numbers import number_of


class Thing(StrEnum):
    """What a step brings about, judges or shows."""

    CONNECTION_TYPE = "connection type"
    SIGN_INS = "sign-ins"
    CONNECTION = "connection"
    USER_ID_TYPE = "options"
    SCIM_CONFIGURATION = "scim-configuration"
    USER_ID_ATTRIBUTE = "user id attribute"
    SCIM_MAPPING = "scim-mapping"
    ENDPOINT = "endpoint"
    TOKEN = "token"  # noqa: S105 - a kind of thing
    TOKEN_SCOPES = "token scopes"  # noqa: S105 - a kind of thing
    REGISTRATION = "registration"
    APPLICATION = "application"
    NOTES = "notes"
    ASSIGNMENTS = "assignments"
    JOB = "job"
    TENANT_URL = "tenant url"
    CREDENTIALS = "credentials"
    ACTIONS = "actions"
    EXTERNAL_ID_ROW = "external id row"
    EXTERNAL_ID = "external id"
    WORK_EMAIL_ROW = "work email row"
    WORK_EMAIL = "work email"
    MAPPINGS = "schema"
    WAY_BACK = "way back"
    READINESS = "readiness"
    TEST_USER = "on-demand"
    START = "start"

    @property
    def step(self) -> str:
        """The place in a text where the number of its step goes."""
        return number_of(self)
