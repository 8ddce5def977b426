"""Severa."""
