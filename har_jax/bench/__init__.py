"""Measurements of time, bytes and error; what is compared runs side by side in one process."""
