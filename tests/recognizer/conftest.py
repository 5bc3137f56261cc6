"""The base and the fitted recognizer of this folder's tests."""

from fitted_recognizer import base, fitted, plain, unfitted  # noqa: F401
