"""The vocabulary of the project: pure Python, no SQL, no HTTP, no clock, no settings."""
