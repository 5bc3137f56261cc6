"""What the made-up people of the tests of federations do."""

CLASSES = ('walking', 'sitting', 'standing')
# A few steps of small batches: enough to see what moves.
QUICK = {'rank': 2, 'rounds': 3, 'local_steps': 2, 'batch': 4}
