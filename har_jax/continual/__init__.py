"""Continual adaptation: domains arrive one after another, each is seen once, and memory is bounded."""
