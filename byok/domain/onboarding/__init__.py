"""Onboarding: the commands that a customer runs, and the payload that the customer returns."""
