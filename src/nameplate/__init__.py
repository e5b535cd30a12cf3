"""Nameplate turns a product table into a vision-language model that names what it sees."""

__version__ = "0.1.0"
