"""Asking strangers' servers: safely, politely, and once."""
