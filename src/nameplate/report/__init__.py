"""The page that a run ends with: one HTML file that shows whether the model learned."""

from nameplate.report.audit import write_audit_page
from nameplate.report.page import write_report

VERSION = 3
"""Raised when the page of an unchanged run would look different."""

__all__ = ["VERSION", "write_audit_page", "write_report"]
