"""Classifiers on fixed features where a label is one or several numbers, or zeros and ones: a column each."""
