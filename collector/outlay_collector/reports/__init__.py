"""Exports for people and their spreadsheets."""
