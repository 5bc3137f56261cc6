"""Modules of docs/studies, with the shapes of their annotations checked."""

import pathlib
import sys

import jaxtyping

jaxtyping.install_import_hook(['decoding', 'corrections'], 'beartype.beartype')
sys.path.append(str(pathlib.Path(__file__).parents[2] / 'docs' / 'studies'))
