"""Answering fast: what questions share is read once, and rows that have ended leave the batch."""
