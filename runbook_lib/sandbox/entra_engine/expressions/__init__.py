"""Entra's language of attribute mappings: text to source document, source document to value.

Source: entra-docs, functions-for-customizing-application-data; Graph's parseExpression page for the keys of parameters.
"""

from runbook_lib.sandbox.entra_engine.expressions.evaluation import Evaluator
from runbook_lib.sandbox.entra_engine.expressions.grammar import parsed
from runbook_lib.sandbox.entra_engine.expressions.values import ExpressionError, Value, text

__all__ = ["Evaluator", "ExpressionError", "Value", "parsed", "text"]
