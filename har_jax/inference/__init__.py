"""From windows or recordings to predictions: recognizer, calibration, stream, timeline."""
