"""Labels of several outputs, numbers or zeros and ones: their metrics, resamples and tables."""
