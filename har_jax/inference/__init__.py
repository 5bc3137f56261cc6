"""From windows or a recording to answers: recognizer, calibration, stream, timeline."""
