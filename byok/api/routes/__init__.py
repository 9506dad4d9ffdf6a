"""The routes of the API, grouped by subject."""
