"""The routes of the wizard, grouped by subject."""
