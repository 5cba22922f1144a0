"""Items of a catalogue from tables with one row for each item."""
