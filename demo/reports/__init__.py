"""What can be taken along: results as JSON and CSV, and reports that stand alone."""
