"""Human activity recognition: pretrained on many datasets, adapted to the next one with little of everything."""

__version__ = '0.1.0'
